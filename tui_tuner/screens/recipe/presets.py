"""Named changes of a recipe, for four wishes. Each is an ordinary change of the draft, seen first and undone with u."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.text import Text

from tui_tuner.screens.draft import Draft, Path
from tui_tuner.screens.look.glyphs import Glyphs
from tui_tuner.screens.look.inks import BOLD, Inks
from tui_tuner.screens.outlook import Outlook, look_ahead
from tui_tuner.screens.recipe.field_values import value_words, with_field
from tui_tuner.screens.recipe.form_rows import dotted
from tui_tuner.units import memory, short_count

Changes = tuple[tuple[Path, Any], ...]
FIRST_STEPS = 60

PREVIEW_WIDTH = 74
"""Cells of a line in the dialog, and the two blanks after its last change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """A wish, and what it sets."""

    name: str
    purpose: str
    changes: Changes

    def applied_to(self, draft: Draft) -> Draft:
        for path, value in self.changes:
            draft = with_field(draft, path, value)
        return draft

    def differences(self, draft: Draft) -> list[tuple[str, Any, Any]]:
        """Field, value before and value after, where they differ."""
        after = self.applied_to(draft)
        paths = dict.fromkeys(path for path, _ in self.changes)
        found = [(dotted(path), draft.get(*path), after.get(*path)) for path in paths]
        return [one for one in found if one[1] != one[2]]


def presets(outlook: Outlook) -> tuple[Preset, ...]:
    """The four, as this machine and this model can have them."""
    has_gpu = bool(outlook.facts.hardware.gpus)
    return (_first_try(), _quality(), _least_memory(has_gpu), _fastest(outlook))


def _first_try() -> Preset:
    return Preset(
        name="first try",
        purpose="A short run that shows whether the loss falls and the answers change, before a long one.",
        changes=(
            (("training", "max_steps"), FIRST_STEPS),
            (("adapter", "rank"), 8),
            (("adapter", "alpha"), 16.0),
            (("adapter", "variant"), "lora"),
            (("training", "exact_match_rows"), 0),
        ),
    )


def _quality() -> Preset:
    return Preset(
        name="quality",
        purpose="Every linear module, a larger rank and a gentler learning rate: slower, and usually better.",
        changes=(
            (("adapter", "method"), "lora"),
            (("adapter", "targets"), "auto"),
            (("adapter", "layers"), "all"),
            (("adapter", "rank"), 32),
            (("adapter", "alpha"), 64.0),
            (("optimizer", "learning_rate"), 1e-4),
            (("optimizer", "schedule"), "cosine"),
            (("training", "epochs"), 3.0),
        ),
    )


def _least_memory(has_gpu: bool) -> Preset:
    on_gpu: Changes = (
        (("model", "quantization"), "nf4"),
        (("optimizer", "name"), "paged_adamw_8bit"),
    )
    return Preset(
        name="least memory",
        purpose="One row at a time, activations computed twice, on a GPU a 4-bit base: for what barely fits.",
        changes=(
            *(on_gpu if has_gpu else ()),
            (("adapter", "method"), "lora"),
            (("adapter", "rank"), 8),
            (("adapter", "modules_to_save"), []),
            (("training", "micro_batch_size"), 1),
            (("acceleration", "recompute"), "layers"),
        ),
    )


def _fastest(outlook: Outlook) -> Preset:
    is_known = outlook.base is not None and outlook.base.facts.is_accelerated
    return Preset(
        name="fastest",
        purpose="Nothing computed twice, rows packed together, no samples on the way: the most tokens a second.",
        changes=(
            *(((("data", "packing"), True),) if is_known else ()),
            (("adapter", "variant"), "lora"),
            (("adapter", "dropout"), 0.0),
            (("acceleration", "kernels"), "auto"),
            (("acceleration", "recompute"), "off"),
            (("training", "micro_batch_size"), "auto"),
            (("training", "sample_prompts"), []),
            (("training", "exact_match_rows"), 0),
        ),
    )


def preview(preset: Preset, outlook: Outlook, glyphs: Glyphs, inks: Inks) -> Text:
    """What it is for, what it changes, and what follows from that."""
    text = Text(f"{preset.purpose}\n", style=inks.muted)
    differences = preset.differences(outlook.draft)
    if not differences:
        return text.append("Everything is set like this already.", style=inks.plain)
    room = PREVIEW_WIDTH
    for name, before, after in differences:
        change = Text.assemble(
            (f"{name} ", inks.plain),
            (f"{value_words(before)} {glyphs.arrow} ", inks.muted),
            (value_words(after), inks.you + BOLD),
        )
        is_first = room == PREVIEW_WIDTH
        room -= change.cell_len + 2
        if room < 0 and not is_first:
            text.append("\n")
            room = PREVIEW_WIDTH - change.cell_len - 2
        elif not is_first:
            text.append("  ")
        text.append_text(change)
    return text.append_text(_consequences(preset, outlook, glyphs, inks))


def _consequences(preset: Preset, outlook: Outlook, glyphs: Glyphs, inks: Inks) -> Text:
    after = look_ahead(preset.applied_to(outlook.draft), outlook.facts)
    if after.plan is None or outlook.plan is None:
        problem = after.problems[0] if after.problems else after.failure
        return Text(f"\n{glyphs.failed} {problem}" if problem else "", style=inks.error)
    figures: Sequence[tuple[str, str, str]] = (
        ("memory", memory(outlook.plan.memory.total), memory(after.plan.memory.total)),
        ("steps", f"{outlook.plan.schedule.total_steps:,}", f"{after.plan.schedule.total_steps:,}"),
        (
            "trained",
            short_count(outlook.plan.adapter.num_trainable),
            short_count(after.plan.adapter.num_trainable),
        ),
    )
    text = Text("\n", style=inks.muted)
    for name, was, now in figures:
        text.append(f"{name} ")
        text.append(f"{was} {glyphs.arrow} {now}  " if was != now else f"{now}  ", style=inks.plain)
    return text
