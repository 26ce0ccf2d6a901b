"""The Runs station."""
