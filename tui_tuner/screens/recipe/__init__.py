"""The Recipe station: every field of the recipe as a form, what the plan makes of it, and the start of the run."""
