"""Trackers: programs that draw a run's curves elsewhere, fed by its events. None unless the recipe names it."""
