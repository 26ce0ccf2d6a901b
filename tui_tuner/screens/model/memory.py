"""What a model would take as it is, in 4 bit, and trained in full, beside the memory that is free."""

from dataclasses import dataclass
from typing import Literal

from rich.text import Text

from tui_tuner.plan import MemoryEstimate
from tui_tuner.screens.draft import Draft
from tui_tuner.screens.look.glyphs import Glyphs
from tui_tuner.screens.look.inks import BOLD, Inks
from tui_tuner.screens.outlook import Outlook, look_ahead
from tui_tuner.screens.widgets.stacked_bar import Part, stacked_bar
from tui_tuner.units import memory

Way = Literal["none", "nf4", "full"]
WAYS: tuple[Way, ...] = ("none", "nf4", "full")
LABEL_WIDTH = 17
FIGURES_WIDTH = 29


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryChoice:
    """One way to hold and train the model."""

    way: Way
    dtype: str = ""
    memory: MemoryEstimate | None = None
    problem: str = ""
    """Why it cannot be had, where it cannot."""
    is_planned: bool = False


def memory_choices(outlook: Outlook) -> tuple[MemoryChoice, ...]:
    """The three ways, with everything else as the draft has it. The one that the plan takes is marked."""
    return tuple(_choice(outlook, way) for way in WAYS)


def _choice(outlook: Outlook, way: Way) -> MemoryChoice:
    planned = outlook.plan
    if planned is not None and way == ("full" if planned.adapter.method == "full" else planned.quantization):
        return MemoryChoice(way=way, dtype=planned.dtype, memory=planned.memory, is_planned=True)
    ahead = look_ahead(_tried(outlook.draft, way), outlook.facts)
    if ahead.plan is None:
        problem = ahead.problems[0].message if ahead.problems else ahead.failure.message if ahead.failure else ""
        return MemoryChoice(way=way, problem=problem)
    return MemoryChoice(way=way, dtype=ahead.plan.dtype, memory=ahead.plan.memory)


def _tried(draft: Draft, way: Way) -> Draft:
    if way == "full":
        draft = draft.without("model", "adapter")
    draft = draft.with_value("nf4" if way == "nf4" else "none", "model", "quantization")
    return draft.with_value("full" if way == "full" else "lora", "adapter", "method")


def head_words(outlook: Outlook) -> str:
    """For which settings the bars hold."""
    plan = outlook.plan
    if plan is None:
        return "memory to train it"
    batch = f"{plan.schedule.micro_batch_size} × {plan.data.max_length:,} tokens at once"
    what = f"rank {plan.adapter.rank}" if plan.adapter.method == "lora" else "all weights"
    return f"memory to train it: {what}, {batch}" + (" (data assumed)" if outlook.is_data_assumed else "")


def explanation(outlook: Outlook) -> str:
    """What the bars say, in words, for a screen with room."""
    plan = outlook.plan
    if plan is None:
        return ""
    estimate = plan.memory
    trained = estimate.adapters + estimate.gradients + estimate.optimizer
    words = (
        f"The first part of a bar is the weights ({memory(estimate.weights)} as planned), which 4-bit makes smaller. "
        f"The second is the rest: {memory(estimate.activations + estimate.loss)} for the rows that go through at once, "
        f"{memory(trained)} for what is trained, {memory(estimate.reserve)} in reserve."
    )
    free = f" {memory(estimate.available)} are free." if estimate.available is not None else ""
    return words + free + " The plan fills what is free with rows, so a small model takes as much as is useful."


def choice_lines(choices: tuple[MemoryChoice, ...], width: int, glyphs: Glyphs, inks: Inks) -> Text:
    """A bar for each way, all to one scale: the free memory, or the largest way where that is more."""
    known = [choice.memory for choice in choices if choice.memory is not None]
    available = next((one.available for one in known if one.available is not None), None)
    scale = max([one.total for one in known] + [available or 0], default=1) or 1
    lines = [_line(choice, scale, width, glyphs, inks) for choice in choices]
    return Text("\n").join(lines)


def _line(choice: MemoryChoice, scale: int, width: int, glyphs: Glyphs, inks: Inks) -> Text:
    line = Text(f"{glyphs.pointer} " if choice.is_planned else "  ", style=inks.you, no_wrap=True)
    style = inks.plain + BOLD if choice.is_planned else inks.muted
    line.append(_label(choice).ljust(LABEL_WIDTH), style=style)
    if choice.memory is None:
        line.append(f"{glyphs.failed} ", style=inks.error)
        line.append(choice.problem, style=inks.muted)
        line.truncate(width, overflow="ellipsis")
        return line
    estimate = choice.memory
    bar_width = max(6, width - LABEL_WIDTH - FIGURES_WIDTH - 3)
    parts = (
        Part(estimate.weights / scale, inks.train),
        Part((estimate.total - estimate.weights) / scale, inks.special),
    )
    line.append_text(stacked_bar(parts, bar_width, glyphs, inks.frame))
    line.append(f" {memory(estimate.total):>8}  ", style=style)
    line.append_text(fit(estimate, glyphs, inks))
    return line


def fit(estimate: MemoryEstimate, glyphs: Glyphs, inks: Inks) -> Text:
    """ "✓ fits", or by how much it does not."""
    if estimate.available is None:
        return Text(f"{glyphs.unknown} free unknown", style=inks.muted)
    spare = estimate.available - estimate.total
    if spare >= 0:
        return Text.assemble((f"{glyphs.done} ", inks.success), ("fits", inks.muted))
    return Text.assemble((f"{glyphs.failed} ", inks.error), (f"{memory(-spare)} over", inks.muted))


def _label(choice: MemoryChoice) -> str:
    if choice.way == "nf4":
        return "4-bit base"
    if choice.way == "full":
        return "all weights"
    return {"bfloat16": "16-bit base", "float32": "32-bit base"}.get(choice.dtype, "plain base")
