"""Compute kernels, one operation per file: a plain reference, the fast path, and one public function."""
