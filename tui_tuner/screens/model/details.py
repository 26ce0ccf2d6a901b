"""What is known of one model, in words: sizes, licence, template, name, and what stands in the way with its fix."""

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from rich.style import Style
from rich.text import Text

from tui_tuner.errors import TunerError
from tui_tuner.plan import ModelFacts, NameDecision
from tui_tuner.planning.local_models import LocalModel
from tui_tuner.planning.model_facts import BaseModel
from tui_tuner.safe_text import one_line
from tui_tuner.screens.look.glyphs import Glyphs
from tui_tuner.screens.look.inks import BOLD, Inks
from tui_tuner.screens.model.catalogue import Entry
from tui_tuner.units import file_size

LABEL_WIDTH = 11
VALUE_WIDTH = 28


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One entry with everything that its description depends on."""

    entry: Entry
    base: BaseModel | None
    """What is known of the model, from its files."""
    name: NameDecision | None
    failure: TunerError | None
    """Why the chosen model cannot be used, where this is the chosen one."""
    is_mapping_off: bool
    adapter: str
    """Adapter folder that training goes on from; empty for none."""
    has_token: bool
    glyphs: Glyphs
    inks: Inks


NO_LICENCE = "none named: read its card before you pass on what you train"
NO_TEMPLATE = 'none: "plain" is used, which any model can learn'
TO_FETCH = "not here yet: fetched before training"
NO_WEIGHTS = "none in this folder: put its .safetensors files there"


def facts_text(facts: ModelFacts, inks: Inks) -> Text:
    """Sizes, one to a line."""
    tied = "tied to the head" if facts.tied_embeddings else "own head"
    pairs = (
        ("family", f"{facts.family}, {'own fast layers' if facts.is_accelerated else 'its own code'}"),
        ("layers", f"{facts.num_layers} × {facts.hidden_size:,} wide"),
        ("heads", f"{facts.num_heads} query, {facts.num_kv_heads} key-value × {facts.head_dim}"),
        ("MLP", f"{facts.intermediate_size:,} wide"),
        ("vocabulary", f"{facts.vocab_size:,}, {tied}"),
        ("context", f"{facts.context_length:,} tokens"),
        ("parameters", f"{facts.num_parameters:,}" if facts.num_parameters else "unknown"),
    )
    return _lines(_pair(name, value, inks) for name, value in pairs)


def standing_text(model: LocalModel, glyphs: Glyphs, inks: Inks) -> Text:
    """Weights, licence, tokenizer and template, each with its sign."""
    return _lines(_standing(model, glyphs, inks))


def _standing(model: LocalModel, glyphs: Glyphs, inks: Inks) -> Iterator[Text]:
    facts = model.base.facts if model.base is not None else None
    if facts is not None and facts.weight_bytes:
        files = "1 file" if len(facts.weight_files) == 1 else f"{len(facts.weight_files)} files"
        said = f"{facts.stored_quantization or facts.dtype}, {file_size(facts.weight_bytes)}, {files}"
        yield _signed("weights", said, True, glyphs, inks)
    elif facts is not None:
        yield _signed("weights", TO_FETCH if model.can_be_fetched else NO_WEIGHTS, False, glyphs, inks)
    yield _signed("licence", model.licence or NO_LICENCE, bool(model.licence), glyphs, inks)
    yield _signed("template", "comes with one" if model.has_template else NO_TEMPLATE, model.has_template, glyphs, inks)
    if not model.has_tokenizer:
        yield _signed("tokenizer", "no tokenizer.json: save the tokenizer as a fast one", False, glyphs, inks)
    for unknown in facts.unknowns if facts is not None else ():
        yield _signed("unknown", unknown, False, glyphs, inks)


def hub_text(entry: Entry, has_token: bool, glyphs: Glyphs, inks: Inks) -> Text:
    """What the hub says of a model that is not here."""
    assert entry.hub is not None
    gate = ("gated", "no", True)
    if entry.hub.is_gated:
        steps = "accept its terms on its hub page" + ("" if has_token else ", then run `hf auth login` here")
        gate = ("gated", f"yes: {steps}", False)
    lines = [
        _pair("on the hub", f"{entry.hub.downloads:,} downloads", inks),
        _signed("licence", entry.hub.licence or NO_LICENCE, bool(entry.hub.licence), glyphs, inks),
        _signed(*gate, glyphs, inks),
        Text("Sizes come with its config: ⏎ fetches a few small files, no weights.", style=inks.muted),
    ]
    return _lines(iter(lines))


def name_text(name: NameDecision, is_mapping_off: bool, glyphs: Glyphs, inks: Inks) -> Text:
    """Typed, loaded, why, and what else it might be."""
    style = inks.you + BOLD if name.is_swapped else inks.plain
    lines = [_pair("typed", one_line(name.typed, 200), inks)] if name.is_swapped else []
    sign = f"{glyphs.arrow} " if name.is_swapped else ""
    lines.append(_pair("loads", sign + one_line(name.loads, 200), inks, style))
    lines.append(_pair("why", one_line(name.reason, 300), inks))
    if name.alternatives:
        also = " ".join(one_line(one, 80) for one in name.alternatives[:3])
        lines.append(_pair("also", also, inks, inks.muted))
    if is_mapping_off:
        lines.append(_pair("mapping", "off: exactly what is typed", inks, inks.you))
    return _lines(iter(lines))


def problem_text(error: TunerError, glyphs: Glyphs, inks: Inks) -> Text:
    """What is wrong, and what to do."""
    text = Text(f"{glyphs.failed} ", style=inks.error)
    text.append(one_line(error.message, 400), style=inks.plain)
    if error.hint:
        text.append(f"\n{glyphs.arrow} ", style=inks.you)
        text.append(one_line(error.hint, 400), style=inks.plain + BOLD)
    return text


def about_text(view: View) -> Text:
    """Everything about one entry, in paragraphs."""
    entry, glyphs, inks = view.entry, view.glyphs, view.inks
    parts: list[Text] = []
    if view.failure is not None:
        parts.append(problem_text(view.failure, glyphs, inks))
    elif entry.local is not None and entry.local.problem is not None and view.base is None:
        parts.append(problem_text(entry.local.problem, glyphs, inks))
    if view.base is not None:
        parts.append(facts_text(view.base.facts, inks))
    if entry.local is not None:
        parts.append(standing_text(entry.local, glyphs, inks))
    if entry.hub is not None and view.base is None:
        parts.append(hub_text(entry, view.has_token, glyphs, inks))
    if entry.is_typed and view.base is None and view.failure is None:
        parts.append(Text("⏎ looks for it as it is typed: a folder here, or a model of the hub.", style=inks.muted))
    if view.name is not None:
        parts.append(name_text(view.name, view.is_mapping_off, glyphs, inks))
    if view.adapter:
        parts.append(_pair("continues", one_line(view.adapter, 200), inks, inks.you))
    return Text("\n\n").join(parts)


def short_text(view: View) -> Text:
    """Two lines for a narrow screen; what is wrong comes first."""
    entry, glyphs, inks = view.entry, view.glyphs, view.inks
    failure = view.failure or (entry.local.problem if entry.local is not None and view.base is None else None)
    if failure is not None:
        return problem_text(failure, glyphs, inks)
    if entry.local is None:
        if entry.hub is not None and entry.hub.is_gated and view.base is None:
            return hub_text(entry, view.has_token, glyphs, inks)
        return _name_line(view) if view.name is not None else Text()
    model = entry.local
    text = Text()
    for label, is_good in (
        (f"licence {model.licence or 'not named'}", bool(model.licence)),
        ("chat template" if model.has_template else "no chat template", model.has_template),
        (_weights_word(model), model.has_weights),
    ):
        sign, style = (glyphs.done, inks.success) if is_good else (glyphs.attention, inks.warning)
        text.append(f"{sign} ", style=style)
        text.append(f"{one_line(label, 30)}  ", style=inks.muted)
    return text.append("\n").append_text(_name_line(view))


def _weights_word(model: LocalModel) -> str:
    if model.has_weights:
        return "weights here"
    return "weights to fetch" if model.can_be_fetched else "no weights"


def _name_line(view: View) -> Text:
    text = Text()
    if view.adapter:
        text.append("continues ", style=view.inks.muted)
        text.append(one_line(view.adapter, 200), style=view.inks.you)
    elif view.name is not None:
        text.append("loads ", style=view.inks.muted)
        style = view.inks.you + BOLD if view.name.is_swapped else view.inks.plain
        text.append(one_line(view.name.loads, 200), style=style)
        text.append(f": {one_line(view.name.reason, 200)}", style=view.inks.muted)
    return text


def _pair(label: str, value: str, inks: Inks, style: Style | None = None) -> Text:
    return Text.assemble((label.ljust(LABEL_WIDTH), inks.muted), (_hanging(value, 0), style or inks.plain))


def _signed(label: str, value: str, is_good: bool, glyphs: Glyphs, inks: Inks) -> Text:
    sign, style = (glyphs.done, inks.success) if is_good else (glyphs.attention, inks.warning)
    text = Text(label.ljust(LABEL_WIDTH), style=inks.muted)
    text.append(f"{sign} ", style=style)
    return text.append(_hanging(one_line(value, 300), 2), style=inks.plain)


def _hanging(value: str, more: int) -> str:
    """The value over as many lines as it needs, each under the first."""
    lines = textwrap.wrap(value, VALUE_WIDTH - more, break_on_hyphens=False) or [""]
    return f"\n{' ' * (LABEL_WIDTH + more)}".join(lines)


def _lines(lines: Iterator[Text]) -> Text:
    return Text("\n").join(lines)
