"""The lengths of rows as a histogram with a line at the max length, and in words what that length takes."""

from dataclasses import dataclass

import numpy as np
from rich.text import Text

from tui_tuner.data.looking.curve import AtLength
from tui_tuner.data.tokenizer import IntArray
from tui_tuner.screens.look.glyphs import Glyphs
from tui_tuner.screens.look.inks import BOLD, Inks
from tui_tuner.units import count, percent

BEYOND_P99 = 1.35
"""The picture reaches so far beyond the 99th percentile, or beyond the line, but not beyond the longest row."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Histogram:
    """Rows by their length. The last bar holds all longer rows too."""

    lengths: IntArray
    """Sorted."""
    longest: int
    p50: int
    p99: int

    @classmethod
    def of(cls, lengths: IntArray) -> "Histogram":
        ordered = np.sort(lengths[lengths > 0])
        if not len(ordered):
            return cls(lengths=ordered, longest=0, p50=0, p99=0)
        p50, p99 = (int(np.percentile(ordered, share, method="higher")) for share in (50, 99))
        return cls(lengths=ordered, longest=int(ordered[-1]), p50=p50, p99=p99)

    def bars(self, scale: "Scale") -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Rows in each bar."""
        edges = np.arange(scale.num_bars + 1) * scale.step
        below = np.searchsorted(self.lengths, edges, side="right")
        below[-1] = len(self.lengths)
        return np.diff(below)

    def reach(self, cutoff: int) -> int:
        """The length at the right edge."""
        wanted = max(self.p99 * BEYOND_P99, cutoff * 1.1)
        return max(8, int(min(wanted, max(self.longest, cutoff * 1.1))))


def step_of(length: int) -> int:
    """How far one press moves the line: about a sixteenth, as a power of two."""
    return max(8, 1 << max(0, (length // 16).bit_length() - 1))


def nudged(length: int, direction: int) -> int:
    """The next length in a direction, on a multiple of the step; never below 8, the least that a recipe takes."""
    step = step_of(length if direction > 0 else length - 1)
    moved = (length // step + 1) * step if direction > 0 else -(-length // step) * step - step
    return max(8, moved)


@dataclass(frozen=True, slots=True)
class Scale:
    """Bars of equally many whole tokens, each equally many cells wide: no bar is high because it spans more lengths."""

    step: int
    """Tokens of a bar."""
    num_bars: int
    cells: int
    """Cells of a bar."""

    @classmethod
    def of(cls, reach: int, width: int) -> "Scale":
        step = -(-reach // width)
        num_bars = -(-reach // step)
        return cls(step, num_bars, max(1, width // num_bars))

    @property
    def width(self) -> int:
        return self.num_bars * self.cells

    def cell(self, length: int) -> int:
        """Where a length stands."""
        return max(0, min(self.width - 1, round(length * self.cells / self.step)))

    def length(self, cell: int) -> int:
        """The length that a cell stands for."""
        return round(cell * self.step / self.cells)


def histogram_lines(histogram: Histogram, cutoff: int, size: tuple[int, int], glyphs: Glyphs, inks: Inks) -> list[Text]:
    """`size` is width and height in cells; the last line is the axis."""
    width, height = max(10, size[0]), max(1, size[1] - 1)
    scale = Scale.of(histogram.reach(cutoff), width)
    bars = histogram.bars(scale)
    place, levels = scale.cell(cutoff), len(glyphs.heights)
    highest = max(1, int(bars.max(initial=0)))
    tops = [max(1, round(number / highest * height * levels)) if number else 0 for number in bars.tolist()]
    lines = []
    for row in reversed(range(height)):
        line = Text(no_wrap=True)
        for cell in range(scale.width):
            filled = min(levels, max(0, tops[cell // scale.cells] - row * levels))
            if cell == place:
                line.append("│" if glyphs.name != "ascii" else "|", style=inks.you + BOLD)
            else:
                ink = inks.muted if cell > place else inks.train
                line.append(glyphs.heights[filled - 1] if filled else " ", style=ink)
        lines.append(line)
    return [*lines, _axis(cutoff, place, scale, inks)]


def _axis(cutoff: int, place: int, scale: Scale, inks: Inks) -> Text:
    label, end = f"{cutoff:,}", f"{scale.num_bars * scale.step:,}"
    start = max(2, min(place - len(label) // 2, scale.width - len(label)))
    line = Text("0", style=inks.muted, no_wrap=True)
    line.append(" " * (start - 1))
    line.append(label, style=inks.you + BOLD)
    rest = scale.width - line.cell_len - len(end)
    if rest > 1:
        line.append(" " * rest + end, style=inks.muted)
    return line


def length_words(at: AtLength, glyphs: Glyphs) -> list[tuple[str, str]]:
    """Values and what they are: what the length at the line takes."""
    rows = f"{count(at.rows_longer)} ({percent(at.rows_longer / max(1, at.num_rows))})"
    kept = f"{'at least ' if at.is_least else ''}{share_words(at.share_kept)}"
    words = [(rows, "rows longer")]
    if at.over_length == "cut":
        words.append((count(at.answers_cut), "answers cut"))
    if at.rows_left_out:
        words.append((count(at.rows_left_out), "left out"))
    words.append((kept, "of trained tokens kept"))
    if at.over_length == "keep_turns" and at.rows_longer:
        words.append(("", f"old turns go {glyphs.arrow} no answer is cut"))
    return words


def share_words(share: float) -> str:
    """Per cent that says 100 only of all."""
    words = percent(share)
    return "> 99.9 %" if share < 1 and words.startswith("100") else words


def words_line(words: list[tuple[str, str]], width: int, glyphs: Glyphs, inks: Inks) -> Text:
    """As many of the words as fit on one line."""
    line = Text(no_wrap=True)
    for number, (value, name) in enumerate(words):
        part = Text(f"  {glyphs.dot}  " if number else "", style=inks.muted)
        part.append(f"{value} " if value else "", style=inks.plain + BOLD)
        part.append(name, style=inks.muted)
        if line.cell_len + part.cell_len > width:
            break
        line.append_text(part)
    return line
