"""The Data station."""
