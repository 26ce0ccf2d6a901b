"""The Train station."""
