"""The Targets station."""
