"""A decoder layer as one operation with forward and backward written out."""
