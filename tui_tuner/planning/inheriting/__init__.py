"""What a new run takes over from an adapter that it goes on training, whoever made it."""
