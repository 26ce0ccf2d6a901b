"""How a run stays within its device's memory: a probe before its first step, and less at once where it runs out."""
