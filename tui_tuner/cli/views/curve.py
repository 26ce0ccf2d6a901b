"""The loss curve in a terminal, by plotext: training as a braille line, held-out rows as dots on top."""

import math
from collections.abc import Sequence

from rich.text import Text

from tui_tuner.events import RunState

Point = tuple[int, float]
HEIGHT = 14
TRAIN_MARKER = "braille"
EVAL_MARKER = "●"
_SPARKS = "▁▂▃▄▅▆▇█"


def curve_text(state: RunState, width: int) -> Text:
    """The curve over all steps; empty before the second step and where no loss is a finite number."""
    train = [(step, loss) for step, loss in state.losses.points if math.isfinite(loss)]
    evals = [(one.step, one.loss) for one in state.evals if math.isfinite(one.loss)]
    if len(train) < 2:
        return Text("")
    return _coloured(_drawn(thinned(train, 2 * width), evals, width))


def thinned(points: Sequence[Point], buckets: int) -> list[Point]:
    """The lowest and the highest point of each bucket, so that a spike never vanishes."""
    if len(points) <= 2 * buckets:
        return list(points)
    kept: list[Point] = []
    for bucket in range(buckets):
        chunk = points[bucket * len(points) // buckets : (bucket + 1) * len(points) // buckets]
        kept += sorted({min(chunk, key=_value), max(chunk, key=_value)})
    return kept


def sparkline(values: Sequence[float]) -> str:
    """A row of small bars from the lowest to the highest value; "×" where a value is not a number."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return "×" * len(values)
    low, span = min(finite), max(finite) - min(finite)
    return "".join(
        _SPARKS[round(7 * (value - low) / span) if span else 0] if math.isfinite(value) else "×" for value in values
    )


def _value(point: Point) -> float:
    return point[1]


def _drawn(train: Sequence[Point], evals: Sequence[Point], width: int) -> str:
    import plotext

    plotext.terminal.limit(False, False)
    # plotext has one figure for the whole process.
    figure = plotext.figure
    figure.clear()
    figure.plot_size(width, HEIGHT)
    figure.draw(figure.signal(*_xy(train), marker=TRAIN_MARKER).lines())
    if evals:
        figure.draw(figure.signal(*_xy(evals), marker=EVAL_MARKER))
    for axis in ("x", "y"):
        figure.axes(False, axis=axis, side=1)
    ticks = _ticks(train, evals, width)
    figure.ruler("x").ticks(ticks, [f"{tick:,}" for tick in ticks])
    return str(figure.build().string(colorless=True))


def _xy(points: Sequence[Point]) -> tuple[list[int], list[float]]:
    return [step for step, _ in points], [value for _, value in points]


def _ticks(train: Sequence[Point], evals: Sequence[Point], width: int) -> list[int]:
    """Whole, round steps, about one for every 12 columns."""
    steps = [step for step, _ in (*train, *evals)]
    first, last = min(steps), max(steps)
    rough = max(1.0, (last - first) / max(2, width // 12))
    power = 10.0 ** math.floor(math.log10(rough))
    stride = max(1, round(next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)))
    return list(range(-(-first // stride) * stride, last + 1, stride))


def _coloured(drawing: str) -> Text:
    text = Text(drawing.rstrip("\n"), style="quiet", no_wrap=True)
    text.highlight_regex("[\u2801-\u28ff]+", "learned")
    text.highlight_regex(EVAL_MARKER, "yours")
    return text
