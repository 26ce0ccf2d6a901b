"""Bars and sparklines as text: values in, cells out."""

from collections.abc import Sequence

from tui_tuner.screens.look.glyphs import Glyphs


def bar(share: float, width: int, glyphs: Glyphs, *, has_track: bool = False) -> str:
    """`share` (0 to 1, clamped) of `width` cells, to an eighth of a cell where the glyphs can show it."""
    share = min(1.0, max(0.0, share))
    if not glyphs.eighths:
        whole = round(share * width)
        return glyphs.full * whole + (glyphs.track if has_track else " ") * (width - whole)
    eighths = round(share * width * 8)
    whole, rest = divmod(eighths, 8)
    cells = glyphs.full * whole + (glyphs.eighths[rest - 1] if rest else "")
    return cells + (glyphs.track if has_track else " ") * (width - len(cells))


def sparkline(values: Sequence[float], width: int, glyphs: Glyphs) -> str:
    """The last `width` values, each a cell high between the least and the greatest of them. NaN is a blank."""
    recent = list(values[-width:])
    finite = [value for value in recent if value == value and abs(value) != float("inf")]
    if not finite:
        return ""
    low, high = min(finite), max(finite)
    span = (high - low) or 1.0
    steps = len(glyphs.heights) - 1
    return "".join(glyphs.heights[round((value - low) / span * steps)] if value in finite else " " for value in recent)
