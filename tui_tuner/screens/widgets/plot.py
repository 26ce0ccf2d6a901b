"""Line charts in text: values in, lines out. Every pixel column keeps the least and the greatest of its points, so a
spike never vanishes, and 100,000 points cost a few milliseconds.

Braille cells hold 2 by 4 dots; the block and ASCII sets hold one sign a cell.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.text import Text

from tui_tuner.screens.look.glyphs import Glyphs

Points = Sequence[tuple[float, float]]
AXIS_WIDTH = 7
MIN_SPAN, MAX_SPAN = 0.01, 1000.0
"""Of a y axis whose numbers all get the same decimals."""
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""Bits of a braille cell: left column from the top, then the right one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Points by growing x. Where two series share a cell, the later one gives the colour. NaN leaves a gap."""

    points: Points
    style: str
    sign: str = "*"
    """Drawn where there is no braille, so that series differ without colour."""
    is_dotted: bool = False
    """Points alone, without lines between them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Axes:
    """The window into the data. None leaves an end to the data."""

    x_max: float | None = None
    is_log: bool = False
    axis_style: str = ""
    marks: tuple[tuple[float, str], ...] = ()
    """Places on the x axis that get a sign under the chart: x and one character."""


def plot(series: Sequence[Series], width: int, height: int, glyphs: Glyphs, axes: Axes) -> list[Text]:
    """`height` lines of `width` cells: the chart, its y axis at the left and its x axis in the last two lines."""
    columns, rows = width - AXIS_WIDTH, height - 2
    if columns < 4 or rows < 2:
        return [Text(" " * width) for _ in range(height)]
    window = _window(series, axes)
    if window is None:
        return [Text(" " * width) for _ in range(height)]
    canvas = _Canvas(columns, rows, glyphs)
    for number, one in enumerate(series):
        canvas.draw(_columns(one.points, window, canvas.pixel_width), number, window, is_dotted=one.is_dotted)
    lines = [
        Text.assemble((_y_label(row, rows, window), axes.axis_style), *canvas.cells(row, series)) for row in range(rows)
    ]
    return [*lines, *_x_axis(columns, window, axes)]


@dataclass(frozen=True, slots=True)
class _Window:
    x_low: float
    x_high: float
    low: float
    high: float
    is_log: bool

    def x_share(self, x: float) -> float:
        return (x - self.x_low) / ((self.x_high - self.x_low) or 1.0)

    def y_share(self, y: float) -> float:
        if self.is_log:
            low, high = math.log(self.low), math.log(self.high)
            return (math.log(max(y, self.low)) - low) / ((high - low) or 1.0)
        return (y - self.low) / ((self.high - self.low) or 1.0)

    def y_at(self, share: float) -> float:
        if self.is_log:
            low, high = math.log(self.low), math.log(self.high)
            return math.exp(low + share * (high - low))
        return self.low + share * (self.high - self.low)

    def number(self, y: float) -> str:
        """A value of the y axis, with as many digits as its neighbours."""
        span = self.high - self.low
        if self.is_log or not MIN_SPAN <= span < MAX_SPAN:
            return axis_number(y)
        words = f"{y:.{max(0, 1 - math.floor(math.log10(span / 4)))}f}"
        return words if len(words) < AXIS_WIDTH else axis_number(y)


def _window(series: Sequence[Series], axes: Axes) -> _Window | None:
    values = [y for one in series for _, y in one.points if math.isfinite(y) and (y > 0 or not axes.is_log)]
    if not values:
        return None
    low, high = min(values), max(values)
    if low == high:
        margin = abs(low) * 0.1 or 1.0
        low, high = (low / 1.1, high * 1.1) if axes.is_log else (low - margin, high + margin)
    first = min(one.points[0][0] for one in series if one.points)
    last = max(one.points[-1][0] for one in series if one.points)
    return _Window(first, max(last, axes.x_max or last), low, high, axes.is_log)


def _columns(points: Points, window: _Window, width: int) -> list[tuple[float, float, float, float] | None]:
    """For each pixel column the first, least, greatest and last value in it; None where there is none."""
    columns: list[tuple[float, float, float, float] | None] = [None] * width
    span = (window.x_high - window.x_low) or 1.0
    scale, start, last_column = (width - 1) / span, window.x_low, width - 1
    for x, y in points:
        if not -math.inf < y < math.inf:
            continue
        place = min(last_column, max(0, round((x - start) * scale)))
        held = columns[place]
        columns[place] = (y, y, y, y) if held is None else (held[0], min(held[1], y), max(held[2], y), y)
    return columns


class _Canvas:
    """Cells of the chart: the dots in each, and the series that was drawn last in it."""

    def __init__(self, columns: int, rows: int, glyphs: Glyphs) -> None:
        self._is_braille = glyphs.name == "braille"
        self._x_dots, self._y_dots = (2, 4) if self._is_braille else (1, 1)
        self._columns = columns
        self.pixel_width = columns * self._x_dots
        self._pixel_height = rows * self._y_dots
        self._bits = [[0] * columns for _ in range(rows)]
        self._owner = [[-1] * columns for _ in range(rows)]

    def draw(
        self,
        columns: Iterable[tuple[float, float, float, float] | None],
        owner: int,
        window: _Window,
        *,
        is_dotted: bool,
    ) -> None:
        before: int | None = None
        before_x = 0
        for x, column in enumerate(columns):
            if column is None:
                continue
            first, low, high, last = (self._y(window.y_share(value)) for value in column)
            if before is not None and not is_dotted:
                self._line(before_x, before, x, first, owner)
            for y in range(min(low, high), max(low, high) + 1):
                self._dot(x, y, owner)
            before, before_x = last, x

    def cells(self, row: int, series: Sequence[Series]) -> list[tuple[str, str]]:
        """The row as runs of one colour."""
        runs: list[tuple[str, str]] = []
        for bits, owner in zip(self._bits[row], self._owner[row], strict=True):
            style = series[owner].style if owner >= 0 else ""
            sign = " " if not bits else chr(0x2800 + bits) if self._is_braille else series[owner].sign
            if runs and runs[-1][1] == style:
                runs[-1] = (runs[-1][0] + sign, style)
            else:
                runs.append((sign, style))
        return runs

    def _y(self, share: float) -> int:
        return round((1.0 - min(1.0, max(0.0, share))) * (self._pixel_height - 1))

    def _line(self, x0: int, y0: int, x1: int, y1: int, owner: int) -> None:
        steps = max(abs(x1 - x0), abs(y1 - y0))
        for step in range(1, steps):
            self._dot(x0 + round((x1 - x0) * step / steps), y0 + round((y1 - y0) * step / steps), owner)

    def _dot(self, x: int, y: int, owner: int) -> None:
        column, row = x // self._x_dots, y // self._y_dots
        self._bits[row][column] |= _DOTS[x % 2][y % 4] if self._is_braille else 1
        self._owner[row][column] = owner


def _y_label(row: int, rows: int, window: _Window) -> str:
    """A number at the top, the bottom and each fourth row between."""
    is_labelled = row in (0, rows - 1) or (row % 4 == 0 and row < rows - 3)
    if not is_labelled:
        return " " * (AXIS_WIDTH - 1) + "│"
    return f"{window.number(window.y_at(1.0 - row / max(1, rows - 1))):>{AXIS_WIDTH - 1}}┤"


def _x_axis(columns: int, window: _Window, axes: Axes) -> list[Text]:
    ruler = ["─"] * columns
    for x, sign in axes.marks:
        ruler[min(columns - 1, max(0, round(window.x_share(x) * (columns - 1))))] = sign
    low, high = axis_number(window.x_low), axis_number(window.x_high)
    middle = axis_number(round((window.x_low + window.x_high) / 2))
    left = (columns - len(middle)) // 2 - len(low)
    right = columns - len(low) - max(0, left) - len(middle) - len(high)
    labels = f"{low}{' ' * left}{middle}{' ' * right}{high}" if left > 0 and right > 0 else f"{low:<{columns}}"
    if low == high:
        labels = f"{low:<{columns}}"
    blank = " " * (AXIS_WIDTH - 1)
    return [Text(f"{blank}└{''.join(ruler)}", style=axes.axis_style), Text(f"{blank} {labels}", style=axes.axis_style)]


def axis_number(value: float) -> str:
    """A number in at most six cells: 0.893, 2.2, 1,024, 10k, 1e-4."""
    size = abs(value)
    if value == int(value) and size < 10_000:
        return f"{int(value):,}"
    if size >= 1e6:
        return f"{value / 1e6:.3g}M"
    if size >= 10_000:
        return f"{value / 1e3:.3g}k"
    if size >= 0.01:
        return f"{value:.3g}"
    return f"{value:.0e}".replace("e-0", "e-")
