"""What fits: one run's memory as a function of its batch and layers, and what it goes on with after a measurement."""
