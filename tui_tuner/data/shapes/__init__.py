"""What a row looks like: each known shape is recognised by its fields and turned into a conversation."""
