"""From data files to labelled, packed examples. No torch; templates run in processes of their own."""
