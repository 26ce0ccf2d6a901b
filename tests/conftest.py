"""Settings that every test shares."""

import os

# Tests run beside each other, and their tensors are tiny: more threads than one a process only wait for each other.
# It must be said before torch is imported anywhere, and child processes inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
