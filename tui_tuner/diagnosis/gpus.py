"""The GPUs: which there are, how much of them is free, and who holds the rest."""

from collections.abc import Iterator

from tui_tuner import units
from tui_tuner.diagnosis.check import Check
from tui_tuner.diagnosis.gpu_driver import Driver, Holder, is_own
from tui_tuner.hardware import Hardware

MUCH_SHARE = 0.1
"""Of a card: what is worth a warning when somebody else holds it."""
MAX_COMMAND = 60


def gpu_checks(hardware: Hardware, driver: Driver | None) -> Iterator[Check]:
    yield gpu_check(hardware)
    if driver is not None and hardware.gpus:
        yield from holder_checks(hardware, driver.holders)


def gpu_check(hardware: Hardware) -> Check:
    if not hardware.gpus:
        fix = "For a GPU, install NVIDIA's driver and check that nvidia-smi runs. Small models train on the CPU."
        return Check("GPU", "warning", f"none found; runs use {hardware.cpu_count} processors", fix, "GPU")
    names = [
        f"{gpu.name}, {units.memory(gpu.free_bytes)} of {units.memory(gpu.total_bytes)} free, compute capability "
        f"{gpu.compute_capability[0]}.{gpu.compute_capability[1]}"
        for gpu in hardware.gpus
    ]
    return Check("GPU", "ok", f"{'; '.join(names)}; driver {hardware.gpus[0].driver}", group="GPU")


def holder_checks(hardware: Hardware, holders: tuple[Holder, ...]) -> Iterator[Check]:
    """One line for each process with memory on a GPU; the largest first."""
    if not holders:
        yield _unexplained(hardware)
        return
    total = max(gpu.total_bytes for gpu in hardware.gpus)
    for holder in sorted(holders, key=lambda one: -(one.num_bytes or 0)):
        is_much = holder.num_bytes is None or holder.num_bytes > MUCH_SHARE * total
        yield Check(f"GPU {holder.gpu} held", "warning" if is_much else "note", _said(holder), _fix(holder), "GPU")


def _unexplained(hardware: Hardware) -> Check:
    """Nobody that NVML names; in a container it names none, and the memory that is gone is all there is to see."""
    used = max(gpu.total_bytes - gpu.free_bytes for gpu in hardware.gpus)
    total = max(gpu.total_bytes for gpu in hardware.gpus)
    if used > MUCH_SHARE * total:
        finding = f"{units.memory(used)} are in use by processes that cannot be seen from here"
        return Check("GPU held", "warning", finding, "Run nvidia-smi on the host itself, outside the container.", "GPU")
    return Check("GPU held", "ok", "by nobody", group="GPU")


def _said(holder: Holder) -> str:
    size = units.memory(holder.num_bytes) if holder.num_bytes is not None else "some memory"
    who = holder.user or "somebody outside this container"
    command = holder.command[:MAX_COMMAND] + ("…" if len(holder.command) > MAX_COMMAND else "")
    return f"{size} by {who}, process {holder.process_id}" + (f": {command}" if command else "")


def _fix(holder: Holder) -> str:
    if not holder.user:
        return "Ask on the host: nvidia-smi there names the process."
    if not is_own(holder):
        return f"It is {holder.user}'s: ask them, or choose another GPU with CUDA_VISIBLE_DEVICES."
    if "tui_tuner" in holder.command:
        return "It is a run or a chat of yours: `tuner runs` lists the runs; F8 on the Chat station unloads the model."
    return f"It is yours: `kill {holder.process_id}` ends it if you no longer need it."
