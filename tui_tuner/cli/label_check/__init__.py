"""What stands behind `tuner labels`: what is looked at, the walk through the audit, and what is printed of it."""
