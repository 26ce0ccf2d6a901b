"""What is checked around training: batches and packs before it, losses and movement in it, kernels on request."""
