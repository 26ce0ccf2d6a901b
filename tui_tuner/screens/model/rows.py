"""Lines of the list of models, as text."""

from rich.style import Style
from rich.text import Text

from tui_tuner.planning.local_models import LocalModel
from tui_tuner.safe_text import one_line
from tui_tuner.screens.look.glyphs import Glyphs
from tui_tuner.screens.look.inks import BOLD, Inks
from tui_tuner.screens.model.catalogue import Entry
from tui_tuner.screens.model.memory import fit
from tui_tuner.screens.outlook import Outlook
from tui_tuner.starter import starter_model_folder
from tui_tuner.units import file_size, memory, short_count

NUMBERS_WIDTH = 45
"""Cells of everything after the name."""
MIN_NAME = 16


def header(width: int, inks: Inks) -> Text:
    """The names of the columns."""
    text = Text("  " + "model".ljust(_name_width(width)), style=inks.muted, no_wrap=True)
    text.append(_columns("params", "family", "context", "on disk", "template"))
    text.truncate(width)
    return text


def entry_line(entry: Entry, is_chosen: bool, width: int, glyphs: Glyphs, inks: Inks) -> Text:
    """One model. The chosen one has a sign of its own."""
    line = Text(no_wrap=True)
    line.append(f"{glyphs.running} " if is_chosen else "  ", style=inks.train)
    style = inks.train + BOLD if is_chosen else inks.plain
    if entry.is_typed:
        line.append("as typed: ", style=inks.muted)
        line.append(one_line(entry.source, max(8, width - 14)), style=style)
        return line
    line.append_text(_name(entry.name, _name_width(width), style, inks))
    if entry.local is not None:
        _append_local(line, entry.local, glyphs, inks)
    elif entry.hub is not None:
        note = f"{glyphs.attention} gated, " if entry.hub.is_gated else ""
        line.append(f"{note}on the hub, {short_count(entry.hub.downloads)} downloads", style=inks.muted)
    return line


def _append_local(line: Text, model: LocalModel, glyphs: Glyphs, inks: Inks) -> None:
    if model.base is None:
        line.append(f"{glyphs.failed} ", style=inks.error)
        line.append(one_line(model.problem.message if model.problem else "", 60), style=inks.muted)
        return
    facts = model.base.facts
    size = file_size(model.num_bytes) if model.has_weights else "to fetch" if model.can_be_fetched else "none"
    cells = _columns(
        short_count(facts.num_parameters) if facts.num_parameters else "?",
        one_line(facts.model_type, 8),
        context_words(facts.context_length),
        size,
        "",
    )
    line.append(cells, style=inks.muted)
    sign, style = (glyphs.done, inks.success) if model.has_template else (glyphs.attention, inks.warning)
    line.append(f"{sign} ", style=style)
    line.append("chat" if model.has_template else "none", style=inks.muted)


def readout(outlook: Outlook, glyphs: Glyphs, inks: Inks) -> Text:
    """The chosen model in a few words, most important first."""
    source = outlook.draft.get("model", "source")
    if not source:
        return Text("no model is chosen yet", style=inks.muted)
    is_starter = str(source) == str(starter_model_folder())
    name = "tuner starter" if is_starter else "/".join(str(source).rstrip("/").split("/")[-2:]) or str(source)
    if outlook.base is None and outlook.failure is not None:
        return Text.assemble((f"{glyphs.failed} ", inks.error), (one_line(outlook.failure.message, 200), inks.plain))
    text = Text()
    text.append(one_line(name, 32), style=inks.train + BOLD)
    if outlook.base is None:
        return text.append(" · reading…", style=inks.muted)
    facts = outlook.base.facts
    text.append(f" · {short_count(facts.num_parameters)} parameters", style=inks.plain)
    if outlook.plan is not None:
        held = {"nf4": "4-bit", "fp8": "8-bit"}.get(outlook.plan.quantization, outlook.plan.dtype)
        text.append(f" · {held} base", style=inks.plain)
        text.append(f" · {memory(outlook.plan.memory.total)} ", style=inks.plain)
        text.append_text(fit(outlook.plan.memory, glyphs, inks))
        if outlook.facts.data is None:
            text.append(f" {glyphs.dot} ", style=inks.plain).append("4 takes data", style=inks.you + BOLD)
    elif outlook.failure is not None:
        text.append(f" {glyphs.failed} ", style=inks.error).append(one_line(outlook.failure.message, 200))
    return text


def context_words(length: int) -> str:
    """ "40k" for 40960 tokens, "512" for 512."""
    return f"{length // 1024}k" if length >= 1024 else str(length)


def _name(name: str, width: int, style: Style, inks: Inks) -> Text:
    """A repository's own name first, then its owner where there is room."""
    owner, _, own = name.rpartition("/")
    text = Text(one_line(own, width - 1), style=style, no_wrap=True)
    room = width - text.cell_len - 3
    if owner and room >= min(len(owner), 6):
        text.append(f" {one_line(owner, room + 1)}", style=inks.muted)
    text.set_length(width)
    return text


def _name_width(width: int) -> int:
    return max(MIN_NAME, width - NUMBERS_WIDTH - 2)


def _columns(size: str, family: str, context: str, on_disk: str, template: str) -> str:
    return f"{size:>7}  {family:<8} {context:>7}  {on_disk:>8}  {template}"
