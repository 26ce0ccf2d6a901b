"""Linear layers with LoRA, forward and backward written out: fused, in 8 bits, and plain for DoRA and dropout."""
