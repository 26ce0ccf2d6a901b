"""Causal attention of documents laid one after the other: which implementation, and the one in Triton of our own."""
