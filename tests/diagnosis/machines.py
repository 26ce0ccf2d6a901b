"""Machines that this one is not."""

from tui_tuner.hardware import Gpu, Hardware

GIB = 2**30
GPU = Gpu(
    index=0,
    name="NVIDIA H100",
    total_bytes=80 * GIB,
    free_bytes=79 * GIB,
    compute_capability=(9, 0),
    driver="580.1",
)
WITH_GPU = Hardware(gpus=(GPU,), cpu_count=16, ram_bytes=2**37, ram_free_bytes=2**36)
WITHOUT = Hardware(gpus=(), cpu_count=2, ram_bytes=0, ram_free_bytes=0)
