"""What would be lost with a run's folder, said before it is deleted."""

from pathlib import Path

from tui_tuner.screens.shown import short_path
from tui_tuner.units import counted, file_size

MAX_FILES = 20_000


def deletion_text(folder: Path, home: Path) -> str:
    """Size, checkpoints and adapter of a run, for the question."""
    sizes = [path.lstat().st_size for path, _ in zip(folder.rglob("*"), range(MAX_FILES), strict=False)]
    checkpoints = sum(1 for _ in (folder / "checkpoints").glob("step-*"))
    parts = [file_size(sum(sizes))]
    if checkpoints:
        parts.append(counted(checkpoints, "checkpoint"))
    if (folder / "adapter").is_dir():
        parts.append("its adapter")
    return f"{', '.join(parts)}. It cannot be undone.\n{short_path(folder, home)}"
