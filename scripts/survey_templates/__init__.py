"""Measures how labels come out under many chat templates, for docs/labels.md."""
