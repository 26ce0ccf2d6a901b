"""A small world for the app: folders under a test's own, a fixed clock, a fixed machine."""

from collections.abc import Callable
from pathlib import Path

from tui_tuner.hardware import Gpu, GpuMeters, Hardware
from tui_tuner.screens.app import TunerApp
from tui_tuner.screens.environment import Environment

NOON = 1_790_000_000.0
GIB = 1 << 30
LAPTOP = Hardware(gpus=(), cpu_count=2, ram_bytes=16 * GIB, ram_free_bytes=9 * GIB)
GPU_BOX = Hardware(
    gpus=(
        Gpu(
            index=0,
            name="NVIDIA H200",
            total_bytes=141 * GIB,
            free_bytes=139 * GIB,
            compute_capability=(9, 0),
            driver="580.65",
        ),
    ),
    cpu_count=16,
    ram_bytes=128 * GIB,
    ram_free_bytes=120 * GIB,
)
H200_AT_WORK = GpuMeters(utilisation=97, used_bytes=52 * GIB, total_bytes=141 * GIB, temperature=61, power_watts=612.0)


def environment(
    folder: Path, hardware: Hardware = LAPTOP, *, is_in_process: bool = True, clock: Callable[[], float] = lambda: NOON
) -> Environment:
    """Nothing outside `folder` is read or written, and the network is not asked."""
    return Environment(
        runs_folder=folder / "runs",
        state_folder=folder / "state",
        config_folder=folder / "config",
        model_folders=(folder / "models",),
        hub_cache=folder / "hub",
        is_in_process=is_in_process,
        can_reach_network=False,
        home=folder,
        clock=clock,
        probe=lambda: hardware,
        read_meters=lambda: H200_AT_WORK if hardware.gpus else None,
    )


def make_app(folder: Path, hardware: Hardware = LAPTOP, *, is_in_process: bool = True) -> TunerApp:
    """The real app in that world."""
    return TunerApp(environment(folder, hardware, is_in_process=is_in_process))
