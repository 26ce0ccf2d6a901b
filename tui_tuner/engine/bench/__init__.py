"""Measures training steps: of a recipe on this machine, of the machine's own limit, and beside other libraries."""
