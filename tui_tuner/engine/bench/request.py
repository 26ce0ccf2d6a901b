"""What a bench is asked for. No torch, so that the command line can make one."""

from dataclasses import dataclass
from pathlib import Path

from tui_tuner.engine.bench.shape_names import ShapeName


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchRequest:
    """Checked options of `tuner bench`."""

    recipe: Path | None
    """None: the starter's."""
    shape: ShapeName | None
    """A random model of this shape instead of a recipe."""
    overrides: tuple[str, ...]
    folder: Path | None
    """Keeps random models; None makes them anew each time."""
    warm_up: int
    steps: int
    seconds_before: float = 0.0
    """What the process took before it came to this."""
