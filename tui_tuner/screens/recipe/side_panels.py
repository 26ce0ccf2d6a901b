"""The learning-rate curve, the memory by component, and the run in figures, as text."""

from rich.style import Style
from rich.text import Text

from tui_tuner.plan import MemoryEstimate, RunPlan
from tui_tuner.planning.schedule import learning_rate_factor
from tui_tuner.planning.speed import speed_words
from tui_tuner.safe_text import visible
from tui_tuner.screens.look.glyphs import Glyphs
from tui_tuner.screens.look.inks import BOLD, Inks
from tui_tuner.screens.marks import start_obstacle
from tui_tuner.screens.outlook import Outlook
from tui_tuner.screens.targets.cost import memory_words
from tui_tuner.screens.widgets.plot import Axes, Series, plot
from tui_tuner.screens.widgets.stacked_bar import Part, fill_of, stacked_bar
from tui_tuner.units import duration, memory, rate, short_count

MOST_POINTS = 240
HELD = {"none": "as it is", "fp8": "in 8 bit", "nf4": "in 4 bit"}
LABEL_WIDTH = 12


def curve(plan: RunPlan, width: int, height: int, glyphs: Glyphs, inks: Inks) -> Text:
    """The adapter's learning rate over the steps."""
    total = plan.schedule.total_steps
    stride = max(1, total // MOST_POINTS)
    steps = sorted({*range(1, total + 1, stride), min(plan.schedule.warmup_steps + 1, total), total})
    peak = plan.learning_rates.adapter
    points = [(float(step), peak * learning_rate_factor(step, plan.schedule)) for step in steps]
    series = Series(points=[(0.0, 0.0), *points], style=str(inks.you))
    return Text("\n").join(plot([series], width, height, glyphs, Axes(axis_style=str(inks.muted))))


def curve_title(plan: RunPlan) -> str:
    return f"Learning rate · {rate(plan.learning_rates.adapter)}"


def curve_subtitle(plan: RunPlan) -> str:
    return f"{plan.schedule.schedule} · warm-up {plan.schedule.warmup_steps} of {plan.schedule.total_steps:,}"


def memory_parts(estimate: MemoryEstimate, inks: Inks) -> tuple[tuple[str, int, Style], ...]:
    """Components in the order of the bar: name, bytes, colour."""
    return (
        ("weights", estimate.weights, inks.train),
        ("trained", estimate.adapters + estimate.gradients + estimate.optimizer, inks.you),
        ("activations", estimate.activations, inks.special),
        ("loss", estimate.loss, inks.success),
        ("reserve", estimate.reserve, inks.muted),
    )


def memory_lines(estimate: MemoryEstimate, width: int, glyphs: Glyphs, inks: Inks) -> Text:
    """The bar against what is free, a line for each component, and whether it fits."""
    scale = max(estimate.total, estimate.available or 0) or 1
    parts = memory_parts(estimate, inks)
    bar = stacked_bar([Part(size / scale, style) for _, size, style in parts], width, glyphs, inks.frame)
    lines = [bar]
    for number, (name, size, style) in enumerate(parts):
        line = Text(f"{fill_of(number, glyphs)} ", style=style)
        line.append(f"{name:<{LABEL_WIDTH}}", style=inks.muted)
        lines.append(line.append(f"{memory(size):>9}", style=inks.plain))
    lines.append(_fit_words(estimate, glyphs, inks))
    if estimate.host:
        lines.append(Text(f"and {memory(estimate.host)} of the host's memory", style=inks.muted))
    return Text("\n").join(lines)


def _fit_words(estimate: MemoryEstimate, glyphs: Glyphs, inks: Inks) -> Text:
    if estimate.available is None:
        return Text("how much is free could not be read", style=inks.muted)
    spare = estimate.available - estimate.total
    if spare >= 0:
        return Text.assemble((f"{glyphs.done} ", inks.success), (f"fits, {memory(spare)} to spare", inks.plain))
    return Text.assemble((f"{glyphs.failed} ", inks.error), (f"{memory(-spare)} too much, see p", inks.plain))


def run_lines(outlook: Outlook, inks: Inks) -> Text:
    """The run in figures."""
    plan = outlook.plan
    if plan is None:
        return Text()
    schedule, data = plan.schedule, plan.data
    sequences = schedule.micro_batch_size * schedule.gradient_accumulation
    tokens = f"{short_count(schedule.total_tokens)} tokens" if schedule.total_tokens else "tokens not measured"
    pairs = (
        ("steps", f"{schedule.total_steps:,}, each of {sequences:,} sequences"),
        ("sees", f"{tokens}, {'about' if not data.is_exact else 'exactly'}"),
        ("rows", f"{data.num_rows:,} to learn from, {data.num_evaluation_rows:,} held out"),
        ("looks", f"every {schedule.evaluate_every:,} steps, saves every {schedule.save_every:,}"),
        (
            "computes",
            f"on {plan.device} in {plan.dtype}, base {HELD[plan.quantization]}",
        ),
        ("time", speed_words(plan.speed, has_time=not outlook.is_data_assumed)),
    )
    lines = [Text.assemble((f"{name:<9}", inks.muted), (value, inks.plain)) for name, value in pairs]
    if plan.speed is not None:
        lines.append(Text(visible(plan.speed.reason), style=inks.muted))
    if outlook.is_data_assumed:
        lines.append(Text("No data are chosen: rows and lengths are assumed.", style=inks.warning))
    return Text("\n").join([*lines, *(Text(f"! {words}", style=inks.warning) for words in plan.warnings)])


def readout(outlook: Outlook, width: int, glyphs: Glyphs, inks: Inks) -> Text:
    """Whether it can start, and what it will be, in at most `width` cells: what is said elsewhere too goes first."""
    obstacle = start_obstacle(outlook)
    if obstacle is not None:
        verdict = Text(f"{glyphs.attention} {obstacle[1]}", style=inks.warning)
    else:
        verdict = Text("g starts it", style=inks.you + BOLD)
    parts = [*_run_parts(outlook, glyphs, inks), verdict]
    line = Text(" · ", style=inks.muted).join(parts)
    while line.cell_len > width and len(parts) > 1:
        del parts[-2]
        line = Text(" · ", style=inks.muted).join(parts)
    line.no_wrap = True
    return line


def _run_parts(outlook: Outlook, glyphs: Glyphs, inks: Inks) -> list[Text]:
    plan = outlook.plan
    if plan is None:
        return []
    schedule = plan.schedule
    parts = [Text(f"{schedule.total_steps:,} steps", style=inks.train + BOLD)]
    if plan.speed is not None and plan.speed.seconds is not None and not outlook.is_data_assumed:
        parts.append(Text(f"about {duration(plan.speed.seconds)}", style=inks.plain))
    if schedule.total_tokens and not outlook.is_data_assumed:
        parts.append(Text(f"{short_count(schedule.total_tokens)} tokens", style=inks.plain))
    return [*parts, Text.assemble(("memory ", inks.plain), memory_words(plan.memory, 8, glyphs, inks))]
