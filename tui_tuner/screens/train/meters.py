"""The gauges beside the chart: speed, memory, GPU, gradient and learning rate, as lines of text."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.style import Style
from rich.text import Text

from tui_tuner.events import RunState
from tui_tuner.hardware import GpuMeters
from tui_tuner.plan import MemoryEstimate
from tui_tuner.screens.look.glyphs import Glyphs
from tui_tuner.screens.look.inks import BOLD, Inks
from tui_tuner.screens.widgets.bars import bar, sparkline
from tui_tuner.units import GIB, memory, rate, short_count

HOT = 85
WIDE = 28
COMPONENTS = ("weights", "adapters", "gradients", "optimizer", "activations", "loss", "reserve")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauges:
    """Everything that the panel draws."""

    state: RunState
    gpu: GpuMeters | None
    process_bytes: int | None
    """Resident memory of the engine's process; None where it is gone or cannot be read."""
    planned_speed: float | None = None
    """Tokens a second that the plan expects; None where it has no estimate for this machine."""


def gauge_lines(gauges: Gauges, width: int, height: int, glyphs: Glyphs, inks: Inks) -> list[Text]:
    """At most `height` lines of `width` cells, the most important first."""
    lines = list(_lines(gauges, width, glyphs, inks, is_tall=height >= 20))
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return lines[:height]


def _lines(gauges: Gauges, width: int, glyphs: Glyphs, inks: Inks, *, is_tall: bool) -> Iterator[Text]:
    state, last = gauges.state, gauges.state.last_step
    yield from _speed_lines(gauges, width, inks)
    if is_tall:
        yield Text(sparkline([y for _, y in state.speeds.points], width, glyphs), style=inks.train)
    yield from _memory_lines(gauges, width, glyphs, inks, is_tall=is_tall)
    if gauges.gpu is not None:
        yield from _gpu_lines(gauges.gpu, width, glyphs, inks, is_tall=is_tall)
    if last is not None:
        yield _pair("grad norm", f"{last.grad_norm:.3g}", width, inks)
        yield Text(sparkline([y for _, y in state.grad_norms.points], width, glyphs), style=inks.train)
        factor = rate_factor(state)
        name = "learning rate" if factor == 1.0 else f"rate x {factor:g}"
        yield _pair(name, rate(last.learning_rate), width, inks)
        yield Text(sparkline([y for _, y in state.learning_rates.points], width, glyphs), style=inks.train)
        if is_tall:
            yield Text("")
            yield _pair("epoch", f"{last.epoch:.2f}", width, inks)
            yield _pair("tokens seen", short_count(state.tokens), width, inks)


def rate_factor(state: RunState) -> float:
    """What a person multiplied the schedule by last; 1 where nobody did."""
    asked = [one.value for one in state.controls if one.action == "learning_rate" and one.value is not None]
    return asked[-1] if asked else 1.0


def _speed_lines(gauges: Gauges, width: int, inks: Inks) -> Iterator[Text]:
    now = gauges.state.recent_tokens_per_second
    yield _pair("tok/s", "–" if now is None else f"{now:,.0f}", width, inks)
    if now is not None and gauges.planned_speed:
        yield _pair("of the plan", f"{now / gauges.planned_speed:.0%}", width, inks)


def _memory_lines(gauges: Gauges, width: int, glyphs: Glyphs, inks: Inks, *, is_tall: bool) -> Iterator[Text]:
    plan, last = gauges.state.plan, gauges.state.last_step
    peak = last.memory if last else None
    if plan is None or peak is None:
        if gauges.process_bytes is not None:
            yield _pair("memory (process)", memory(gauges.process_bytes), width, inks)
        return
    total = gauges.gpu.total_bytes if gauges.gpu else plan.memory.available or plan.memory.total
    yield _pair("VRAM peak" if width >= WIDE else "VRAM", f"{peak / GIB:.3g} of {total / GIB:.3g} GiB", width, inks)
    yield memory_bar(plan.memory, peak, total, width, glyphs, inks)
    if is_tall:
        yield from component_lines(plan.memory, width, glyphs, inks)
        yield _pair("planned", memory(plan.memory.total), width, inks)


def memory_bar(planned: MemoryEstimate, peak: int, total: int, width: int, glyphs: Glyphs, inks: Inks) -> Text:
    """The measured peak as a share of the card, split by component as the plan expects them."""
    parts = [(name, getattr(planned, name)) for name in COMPONENTS if getattr(planned, name)]
    scale = peak / max(1, sum(size for _, size in parts))
    line, drawn, used = Text(no_wrap=True), 0, 0.0
    for number, (_, size) in enumerate(parts):
        used += size * scale
        end = round(used / max(1, total) * width)
        line.append(_fill(number, glyphs) * (end - drawn), style=_ink(number, inks))
        drawn = max(drawn, end)
    line.append(glyphs.track * (width - drawn), style=inks.frame)
    return line


def component_lines(planned: MemoryEstimate, width: int, glyphs: Glyphs, inks: Inks) -> Iterator[Text]:
    """The legend of the bar: a sign, a name and the planned size for each component."""
    parts = [(name, getattr(planned, name)) for name in COMPONENTS if getattr(planned, name)]
    for number, (name, size) in enumerate(parts):
        line = Text(f"{_fill(number, glyphs)} ", style=_ink(number, inks), no_wrap=True)
        line.append(name, style=inks.muted)
        line.append(memory(size).rjust(max(1, width - line.cell_len)), style=inks.plain)
        yield line


def _gpu_lines(gpu: GpuMeters, width: int, glyphs: Glyphs, inks: Inks, *, is_tall: bool) -> Iterator[Text]:
    yield _pair("GPU", f"{gpu.utilisation} %", width, inks)
    if is_tall:
        yield Text(bar(gpu.utilisation / 100, width, glyphs), style=inks.train)
    parts = []
    if gpu.power_watts is not None:
        parts.append(f"{gpu.power_watts:.0f} W")
    if gpu.temperature is not None:
        mark = f" {glyphs.attention}" if gpu.temperature >= HOT else ""
        parts.append(f"{gpu.temperature} °C{mark}")
    if parts:
        yield _pair("power", "  ".join(parts), width, inks)


def _pair(name: str, value: str, width: int, inks: Inks) -> Text:
    line = Text(name, style=inks.muted, no_wrap=True)
    line.append(value.rjust(max(1, width - len(name))), style=inks.plain + BOLD)
    return line


def _fill(number: int, glyphs: Glyphs) -> str:
    if glyphs.name == "ascii":
        return "#=+%o*-"[number % 7]
    return "█▓▒█▓▒█"[number % 7]


def _ink(number: int, inks: Inks) -> Style:
    inks_in_order: Sequence[Style] = (
        inks.train,
        inks.you,
        inks.success,
        inks.special,
        inks.train,
        inks.you,
        inks.muted,
    )
    return inks_in_order[number % len(inks_in_order)]
