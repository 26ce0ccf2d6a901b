"""tuner: from a model and some data to a fine-tuned adapter that is proved to work."""

__version__ = "0.1.0"
