"""What can be talked to and exported: results of runs, checkpoints, and folders that a person names."""
