"""What runs in a peer's own Python: nothing in here may import tuner, whose libraries may be other ones."""
