"""The Recipe station."""
