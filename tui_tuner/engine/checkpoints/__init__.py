"""Checkpoints: everything that a run needs to go on bit for bit, written, verified and found again."""
