"""Commands for those who work on tuner; nothing here is part of the package."""
