"""How long a row may be before one alone is too much for the memory that is free: for a screen with room."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from rich.text import Text

from tui_tuner.plan import DataFacts, MemoryEstimate
from tui_tuner.screens.look.glyphs import Glyphs
from tui_tuner.screens.look.inks import BOLD, Inks
from tui_tuner.screens.model.memory import FIGURES_WIDTH, LABEL_WIDTH, fit
from tui_tuner.screens.outlook import DataAnswer, Facts, Outlook, look_ahead
from tui_tuner.screens.widgets.stacked_bar import Part, stacked_bar
from tui_tuner.units import memory

FACTOR = 4
SHORTEST = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class LengthChoice:
    """One row of a length, by itself."""

    length: int
    memory: MemoryEstimate | None
    """None where it cannot be planned."""
    is_context: bool = False


def length_choices(outlook: Outlook) -> Iterator[LengthChoice]:
    """From 512 tokens in steps of four up to the model's context, each planned as the draft has it, one row at once."""
    if outlook.base is None or outlook.plan is None:
        return
    context = outlook.base.facts.context_length
    lengths = [SHORTEST * FACTOR**power for power in range(8) if SHORTEST * FACTOR**power < context]
    alone = outlook.draft.with_value(1, "training", "micro_batch_size").without("data", "max_length")
    for length in (*lengths, context):
        plan = look_ahead(alone, _with_rows_of(outlook, outlook.plan.data, length)).plan
        yield LengthChoice(length=length, memory=plan.memory if plan else None, is_context=length == context)


def _with_rows_of(outlook: Outlook, data: DataFacts, length: int) -> Facts:
    rows = data.model_copy(update={"longest": length, "p99_length": length, "max_length": length})
    return replace(outlook.facts, data=DataAnswer(facts=rows))


def length_lines(choices: Sequence[LengthChoice], width: int, glyphs: Glyphs, inks: Inks) -> Text:
    """A bar for each length, all to the scale of what is free."""
    known = [one.memory for one in choices if one.memory is not None]
    available = next((one.available for one in known if one.available is not None), None)
    scale = available or max((one.total for one in known), default=1)
    lines = [Text("one row at a time, by its length in tokens", style=inks.muted)]
    lines += [_line(one, scale, width, glyphs, inks) for one in choices]
    return Text("\n").join(lines)


def _line(choice: LengthChoice, scale: int, width: int, glyphs: Glyphs, inks: Inks) -> Text:
    line = Text("  ", no_wrap=True)
    name = f"{choice.length:,}" + (" context" if choice.is_context else "")
    line.append(name.ljust(LABEL_WIDTH), style=inks.muted)
    if choice.memory is None:
        return line.append(f"{glyphs.failed} cannot be planned", style=inks.muted)
    estimate = choice.memory
    bar_width = max(6, width - LABEL_WIDTH - FIGURES_WIDTH - 3)
    weights = min(1.0, estimate.weights / scale)
    rest = min(1.0 - weights, (estimate.total - estimate.weights) / scale)
    line.append_text(stacked_bar((Part(weights, inks.train), Part(rest, inks.special)), bar_width, glyphs, inks.frame))
    line.append(f" {memory(estimate.total):>8}  ", style=inks.plain + BOLD)
    return line.append_text(fit(estimate, glyphs, inks))
