"""Planning for our own decoder layers: whether they can be used, what they keep, and the memory that takes."""
