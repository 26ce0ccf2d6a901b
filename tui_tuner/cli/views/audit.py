"""What of an adapter that is gone on with is there and trained, and whether the right weights have moved."""

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from tui_tuner import units
from tui_tuner.cli.views.blocks import block, columns, facts, joined, mark, outside, remarks
from tui_tuner.events import AdapterAudited, WeightsChecked

MAX_NAMES = 8


def audit_block(audit: AdapterAudited) -> RenderableType:
    """The table of groups, the losses, and the names of what does not fit."""
    total = sum(group.trainable for group in audit.groups)
    verdict = (
        outside(audit.problem) if audit.problem else Text(f"all {units.count(total)} parameters are trained again")
    )
    names = [f"{name} is in the file and not trained" for name in audit.unmatched[:MAX_NAMES]]
    names += [f"{name} is trained and not in the file" for name in audit.missing[:MAX_NAMES]]
    return block(
        "Continued",
        Text.assemble(mark("bad" if audit.problem else "good"), " ", verdict),
        facts([("adapter", audit.folder), ("loss", _losses(audit)), ("base", _base(audit))]),
        "",
        _groups(audit),
        remarks(names, "bad"),
    )


def moved_words(checked: WeightsChecked) -> Text:
    """One line on which weights have moved."""
    if checked.unmoved or checked.changed:
        return joined(
            outside(f"{len(checked.unmoved)} trained tensors did not move") if checked.unmoved else "",
            outside(f"{len(checked.changed)} frozen tensors changed") if checked.changed else "",
        )
    return joined(
        f"all {units.count(checked.num_trained)} trained tensors moved",
        f"none of {units.count(checked.num_frozen)} frozen",
    )


def _losses(audit: AdapterAudited) -> Text:
    rows = "the same rows" if audit.is_same_data else "its own rows"
    logged = f"last logged {units.loss(audit.loss_logged)} on {rows}" if audit.loss_logged is not None else ""
    measured = f"{units.loss(audit.loss_before)} without, {units.loss(audit.loss_after)} with it on {audit.rows}"
    return joined(measured, logged)


def _base(audit: AdapterAudited) -> str:
    if audit.base_confirmed:
        return "the one that it was trained on, by fingerprint"
    return "not named by a fingerprint; judged by the loss"


def _groups(audit: AdapterAudited) -> Table:
    table = columns("weights", "in the file", "trained", "learning rate", "", right=(1, 2))
    for group in audit.groups:
        rates = " and ".join(units.rate(rate) for rate in group.learning_rates)
        is_whole = group.expected == group.trainable
        table.add_row(
            group.name,
            units.count(group.expected),
            units.count(group.trainable),
            rates,
            mark("good" if is_whole else "bad"),
        )
    return table
