"""What a run leaves on disk: adapters, models and their cards, each complete or not there."""
