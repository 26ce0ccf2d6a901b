"""A small world for the app: folders under a test's own, a fixed clock, a fixed machine."""

from collections.abc import Callable, Sequence
from pathlib import Path

from tui_tuner.diagnosis.check import Check
from tui_tuner.hardware import Gpu, GpuMeters, Hardware
from tui_tuner.screens.app import TunerApp
from tui_tuner.screens.environment import Environment

NOON = 1_785_600_000.0
"""Four hours after the runs of tests.plans."""
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
CHECKS: tuple[Check, ...] = (
    Check("tuner", "ok", "1.0.0, Python 3.11", group="packages"),
    Check("torch", "ok", "2.13.0, for CUDA 13.0", group="packages"),
    Check(
        "bitsandbytes", "fail", "has no library for CUDA 13.0", "pip install -U bitsandbytes, then look again.",
        "packages",
    ),
    Check("Triton", "ok", "3.9.0", group="packages"),
    Check("GPU 0", "ok", "NVIDIA H200, 141 GiB, driver 580.65", group="GPU"),
    Check(
        "held by", "warning", "ben, python train.py (process 4471): 96.0 GiB",
        "Ask ben, or choose another GPU: CUDA_VISIBLE_DEVICES=1 tuner", "GPU",
    ),
    Check("memory", "ok", "120 GiB of 128 GiB free", group="machine"),
    Check("runs folder", "ok", "412 GB of 1.00 TB free in ~/runs", group="disk"),
    Check("model cache", "ok", "318 GB, 12 models", group="disk"),
    Check("terminal", "ok", "80 × 24, xterm-256color, UTF-8", group="terminal"),
    Check("window", "ok", "in tmux: a lost connection changes nothing", group="session"),
    Check("logout", "note", "runs end with your session", "loginctl enable-linger keeps them.", "session"),
)  # fmt: skip
"""What Doctor finds in this world."""
H200_AT_WORK = GpuMeters(utilisation=97, used_bytes=52 * GIB, total_bytes=141 * GIB, temperature=61, power_watts=612.0)


def environment(
    folder: Path,
    hardware: Hardware = LAPTOP,
    *,
    is_in_process: bool = True,
    clock: Callable[[], float] = lambda: NOON,
    checks: Sequence[Check] = CHECKS,
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
        find_checks=lambda _surroundings: iter(checks),
        read_login=lambda: "ann@gpu-box",
    )


def make_app(folder: Path, hardware: Hardware = LAPTOP, *, is_in_process: bool = True) -> TunerApp:
    """The real app in that world."""
    return TunerApp(environment(folder, hardware, is_in_process=is_in_process))
