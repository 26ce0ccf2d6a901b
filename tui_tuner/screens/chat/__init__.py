"""The Chat station."""
