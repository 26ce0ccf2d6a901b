"""What can be done about what the checks found: changes of the draft, each with what follows from it. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from tui_tuner.screens.data.labels import Labels
from tui_tuner.screens.draft import Draft
from tui_tuner.units import count, counted, percent

ROUNDED_TO = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """One line of the menu."""

    title: str
    note: str
    draft: Draft | None
    """None opens the choice of a template."""


def fixes(labels: Labels, draft: Draft, context_length: int) -> tuple[Fix, ...]:
    """The useful ones first; empty where nothing was found."""
    if labels.counted is None:
        return ()
    return (
        *_bad_rows(labels, draft),
        *_disagreements(labels, draft),
        *_lengths(labels, draft, context_length),
        *_policies(labels, draft),
        *_template(labels),
    )


def _bad_rows(labels: Labels, draft: Draft) -> Iterator[Fix]:
    number = sum(labels.counted.refused.values()) if labels.counted else 0
    if number and labels.policies.on_bad_row == "refuse":
        yield Fix(
            title=f"Drop the {counted(number, 'row')} that cannot be used",
            note="data.on_bad_row = drop. They are counted and listed in the run's journal.",
            draft=draft.with_value("drop", "data", "on_bad_row"),
        )
    if labels.policies.on_bad_row == "drop":
        yield Fix(
            title="Refuse rows that cannot be used",
            note="data.on_bad_row = refuse: training stops at the first of them.",
            draft=draft.with_value("refuse", "data", "on_bad_row"),
        )


def _disagreements(labels: Labels, draft: Draft) -> Iterator[Fix]:
    number = labels.counted.totals.get("disagreement", 0) if labels.counted else 0
    words = {
        "drop": (f"Drop the {counted(number, 'row')} where the methods disagree", "The others are trained as shown."),
        "keep": ("Keep rows where the methods disagree", "The labels that you see here are trained."),
        "refuse": ("Refuse rows where the methods disagree", "Training stops while there are any."),
    }
    for value, (title, note) in words.items() if number else ():
        if value != labels.policies.on_disagreement:
            yield Fix(
                title=title,
                note=f"data.on_disagreement = {value}. {note}",
                draft=draft.with_value(value, "data", "on_disagreement"),
            )


def _lengths(labels: Labels, draft: Draft, context_length: int) -> Iterator[Fix]:
    look, settled = labels.look, labels.settled_length
    if look is None or settled is None or look.curve.longest <= settled:
        return
    whole = min(context_length, -(-look.curve.longest // ROUNDED_TO) * ROUNDED_TO)
    if whole > settled:
        keeps = "every row whole" if whole >= look.curve.longest else "all that fits the model's context"
        yield Fix(
            title=f"Raise the max length to {count(whole)}",
            note=f"data.max_length = {whole}: {keeps}. Longer sequences take more memory and time.",
            draft=draft.with_value(whole, "data", "max_length"),
        )


def _policies(labels: Labels, draft: Draft) -> Iterator[Fix]:
    look, settled = labels.look, labels.settled_length
    if look is None or settled is None or look.curve.longest <= settled or labels.counted is None:
        return
    titles = {
        "keep_turns": "Drop the oldest turns of longer rows",
        "drop": "Leave longer rows out",
        "cut": "Cut off the end of longer rows",
    }
    for value, title in titles.items():
        if value == labels.policies.over_length:
            continue
        at = look.curve.at(settled, value, labels.counted.num_labelled)  # type: ignore[arg-type]
        least = "at least " if at.is_least else ""
        answers = f" {counted(at.answers_cut, 'answer')} would break off." if at.answers_cut else ""
        yield Fix(
            title=title,
            note=f"data.over_length = {value}: {least}{percent(at.share_kept)} of the trained tokens stay.{answers}",
            draft=draft.with_value(value, "data", "over_length"),
        )


def _template(labels: Labels) -> Iterator[Fix]:
    found = labels.counted.totals if labels.counted else {}
    if any(name in found for name in ("template_error", "lost_field", "doubled_bos", "not_located", "missing_bos")):
        yield Fix(
            title="Choose another chat template…",
            note="Another template may show what this one leaves out or breaks on.",
            draft=None,
        )
