"""Labelled examples on disk, so that memory does not grow with the data."""
