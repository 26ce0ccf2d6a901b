"""The labels of a data set on disk, for people to look through: written by a process of its own, read as it grows."""
