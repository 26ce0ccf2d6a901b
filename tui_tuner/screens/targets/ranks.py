"""What other ranks would train and take, beside the present one: for a screen with room."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.text import Text

from tui_tuner.plan import AdapterPlan, MemoryEstimate
from tui_tuner.screens.look.glyphs import Glyphs
from tui_tuner.screens.look.inks import BOLD, Inks
from tui_tuner.screens.outlook import Outlook, look_ahead
from tui_tuner.screens.targets.edits import RANKS
from tui_tuner.units import file_size, memory, short_count

HEAD = "other ranks"
REACH = 8
"""Times the present rank, either way."""
LOOKING = f"{HEAD}: looking…"


@dataclass(frozen=True, slots=True, kw_only=True)
class RankChoice:
    """The draft with one rank."""

    adapter: AdapterPlan
    memory: MemoryEstimate
    is_present: bool = False


def can_choose(outlook: Outlook) -> bool:
    """Whether the rank is free: not that of an adapter that is continued, and not where every weight is trained."""
    adapter = outlook.adapter
    return adapter is not None and adapter.method == "lora" and not adapter.continues


def rank_choices(outlook: Outlook) -> Iterator[RankChoice]:
    """One for each usual rank round the present one, planned with everything else as it is: each takes milliseconds."""
    if not can_choose(outlook) or outlook.adapter is None:
        return
    now = outlook.adapter.rank
    for rank in sorted({*(one for one in RANKS if now <= one * REACH and one <= now * REACH), now}):
        plan = look_ahead(outlook.draft.with_value(rank, "adapter", "rank"), outlook.facts).plan
        if plan is not None:
            yield RankChoice(adapter=plan.adapter, memory=plan.memory, is_present=rank == now)


def rank_lines(choices: Sequence[RankChoice], glyphs: Glyphs, inks: Inks) -> Text:
    """Rank, what is trained, the file, the memory and whether it fits; the present one is marked."""
    if not choices:
        return Text()
    lines = [Text(f"  {'rank':<5}{'trained':>8}{'file':>9}{'memory':>10}", style=inks.muted)]
    lines += [_line(one, glyphs, inks) for one in choices]
    return Text("\n").join(lines)


def _line(choice: RankChoice, glyphs: Glyphs, inks: Inks) -> Text:
    adapter, needed = choice.adapter, choice.memory
    line = Text(f"{glyphs.pointer} " if choice.is_present else "  ", style=inks.you, no_wrap=True)
    cells = f"{adapter.rank:<5}{short_count(adapter.num_trainable):>8}{file_size(adapter.adapter_bytes):>9}"
    line.append(f"{cells}{memory(needed.total):>10} ", style=inks.plain + BOLD if choice.is_present else inks.muted)
    if needed.available is not None:
        fits = needed.total <= needed.available
        line.append(glyphs.done if fits else glyphs.failed, style=inks.success if fits else inks.error)
    return line
