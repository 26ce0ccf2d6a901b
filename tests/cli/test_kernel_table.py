"""The table of `tuner doctor --kernels`."""

from tests.cli.terminal import drawn
from tui_tuner.cli.views.kernel_table import kernel_table_view
from tui_tuner.kernels.checking import Check


def test_each_kernel_shows_error_allowance_and_speed() -> None:
    check = Check("SwiGLU", "bfloat16", 0.00123, 0.00369, milliseconds=0.0456, gigabytes_per_second=3456.7)
    assert "✓  SwiGLU  bfloat16  1.2e-03  3.7e-03  0.046  3,457" in drawn(kernel_table_view([check]))


def test_a_kernel_that_could_not_run_says_why_and_counts_as_failed() -> None:
    broken = Check("NF4", "", float("nan"), 0.0, failure="out of resource: shared memory")
    text = drawn(kernel_table_view([broken, Check("RoPE", "float32", 0.0, 1e-6)]))
    assert "out of resource: shared memory" in text
    assert "1 of 2 checks failed" in text
