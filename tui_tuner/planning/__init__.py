"""From a recipe to a plan: what will be loaded, trained and written, and why. No torch, and nothing is loaded."""
