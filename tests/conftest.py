"""Settings that every test shares."""

import os
import signal

import pytest

from tui_tuner.hardware import probe_hardware

# Tests run beside each other, and their tensors are tiny: more threads than one a process only wait for each other.
# It must be said before torch is imported anywhere, and child processes inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
if not probe_hardware().gpus:
    # The kernels run in Triton's interpreter then, which must be said before triton is imported anywhere.
    os.environ.setdefault("TRITON_INTERPRET", "1")

# A shell that starts the tests in the background has them ignore these, and what they start as well.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-snapshots", action="store_true", help="write the pictures of the screens anew")
