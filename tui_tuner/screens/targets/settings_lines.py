"""Rank, alpha, variant and the rest of the adapter's settings, each with the key that turns it."""

from rich.text import Text

from tui_tuner.plan import AdapterPlan
from tui_tuner.screens.draft import Draft
from tui_tuner.screens.look.glyphs import Glyphs
from tui_tuner.screens.look.inks import BOLD, Inks
from tui_tuner.screens.targets.edits import RANKS

VARIANT_WORDS = {"lora": "LoRA", "rslora": "rsLoRA", "dora": "DoRA", "rslora+dora": "rsLoRA + DoRA"}
LABEL_WIDTH = 9


def setting_lines(draft: Draft, adapter: AdapterPlan | None, inks: Inks) -> Text:
    """One setting a line. An inherited adapter's own values are shown, for they are what is trained."""
    rank, alpha, variant, dropout = present_settings(draft, adapter)
    scale = f"  scale {adapter.scaling:.3g}" if adapter is not None else ""
    ratio = draft.get("optimizer", "lora_plus_ratio")
    text = Text(no_wrap=True)
    text.append_text(_label("rank", inks)).append_text(rank_ladder(rank, inks)).append("\n")
    text.append_text(_label("alpha", inks)).append(f"{alpha:g}", style=inks.plain + BOLD)
    text.append(f"{scale}\n", style=inks.muted)
    pairs = (
        ("variant", VARIANT_WORDS.get(variant, variant)),
        ("dropout", f"{dropout:g}" if dropout else "none"),
        ("LoRA+", f"B learns {ratio:g} times as fast" if ratio != 1.0 else "off"),
        ("method", "every weight" if draft.get("adapter", "method") == "full" else "low-rank adapters"),
    )
    for name, value in pairs:
        text.append_text(_label(name, inks)).append(f"{value}\n", style=inks.plain)
    text.right_crop(1)
    return text


def short_settings(draft: Draft, adapter: AdapterPlan | None, inks: Inks) -> Text:
    """Everything on one line, for a narrow screen."""
    rank, alpha, variant, dropout = present_settings(draft, adapter)
    ratio = draft.get("optimizer", "lora_plus_ratio")
    text = Text(no_wrap=True)
    if draft.get("adapter", "method") == "full":
        return text.append("every weight is trained; m goes back to adapters", style=inks.you)
    for name, value in (
        ("rank", str(rank)),
        ("alpha", f"{alpha:g}"),
        ("", VARIANT_WORDS.get(variant, variant)),
        ("dropout", f"{dropout:g}"),
        ("LoRA+", f"{ratio:g}" if ratio != 1.0 else "off"),
    ):
        text.append(f"{name} " if name else "", style=inks.muted)
        text.append(f"{value}   ", style=inks.plain + BOLD)
    return text


def present_settings(draft: Draft, adapter: AdapterPlan | None) -> tuple[int, float, str, float]:
    """Rank, alpha, variant and dropout: of the plan, which knows an inherited adapter, or else of the draft."""
    if adapter is None or adapter.method == "full":
        get = draft.get
        return (
            int(get("adapter", "rank")),
            float(get("adapter", "alpha")),
            str(get("adapter", "variant")),
            float(get("adapter", "dropout")),
        )
    names = [name for name, is_on in (("rslora", adapter.use_rslora), ("dora", adapter.use_dora)) if is_on]
    return adapter.rank, adapter.alpha, "+".join(names) or "lora", adapter.dropout


def rank_ladder(rank: int, inks: Inks) -> Text:
    """The ranks round the present one, which is in brackets."""
    ranks = sorted({*RANKS, rank})
    place = ranks.index(rank)
    first = max(0, min(place - 2, len(ranks) - 5))
    text = Text()
    for one in ranks[first : first + 5]:
        text.append(f"[{one}] " if one == rank else f" {one}  ", style=inks.you + BOLD if one == rank else inks.muted)
    return text


def coverage_lines(adapter: AdapterPlan, num_layers: int, width: int, glyphs: Glyphs, inks: Inks) -> Text:
    """A cell for each layer that gets adapters, in rows of as many as fit, and how many those are."""
    covered = {int(part) for target in adapter.targets for part in target.path.split(".") if part.isdigit()}
    text = Text()
    for first in range(0, num_layers, width):
        for layer in range(first, min(num_layers, first + width)):
            is_in = layer in covered
            text.append(glyphs.stopped if is_in else glyphs.masked, style=inks.train if is_in else inks.muted)
        text.append("\n")
    names = len({target.path.rpartition(".")[2] for target in adapter.targets})
    said = "every layer" if len(covered) == num_layers else f"{len(covered)} of {num_layers} layers"
    return text.append(f"{said}, {names} kinds of module", style=inks.muted)


def _label(name: str, inks: Inks) -> Text:
    return Text(name.ljust(LABEL_WIDTH), style=inks.muted)
