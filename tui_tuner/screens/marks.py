"""How each station stands, from the outlook of the draft: what the rail shows."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tui_tuner.hosting.run_view import RunView
from tui_tuner.screens.outlook import Outlook
from tui_tuner.screens.stations import Mark, Marks, StationName

if TYPE_CHECKING:
    from tui_tuner.screens.data.labels import LabelState


def station_marks(outlook: Outlook, run: RunView | None = None, labels: "LabelState | None" = None) -> Marks:
    """Done where a choice is made and plans, attention where something stands against it."""
    draft = outlook.draft
    return {
        "model": _model(outlook),
        "targets": _settled(outlook, ("adapter",), outlook.adapter is not None),
        "data": _data(outlook, labels),
        "recipe": _settled(outlook, ("optimizer", "training", "acceleration", "output"), draft.recipe is not None),
        "train": _train(run),
        "chat": "",
        "export": "",
    }


def start_obstacle(outlook: Outlook, labels: "LabelState | None" = None) -> tuple[StationName, str] | None:
    """What keeps a run from starting, and the station where it is mended; None where nothing does."""
    return next(_obstacles(outlook, labels), None)


def _obstacles(outlook: Outlook, labels: "LabelState | None") -> Iterator[tuple[StationName, str]]:
    """All of them, in the order of the work."""
    if outlook.is_reading_model:
        yield "model", "Wait: the model is being read."
    if outlook.facts.model is None:
        yield "model", "Choose a model first."
    if outlook.base is None:
        yield "model", "The model cannot be used yet."
    if outlook.is_reading_data:
        yield "data", "Wait: the data are being read."
    if labels is not None and labels.reasons:
        # Where the labels were not looked at the engine itself checks every one of them, and refuses.
        yield "data", f"Training would refuse the labels: {labels.reasons[0]}. f on this screen mends it."
    if outlook.facts.data is None:
        yield "data", "Choose data first."
    elif outlook.facts.data.facts is None:
        yield "data", "The data cannot be used yet."
    if outlook.plan is None or outlook.problems:
        yield "recipe", "The recipe has problems; each is marked."


def _train(run: RunView | None) -> Mark:
    if run is None:
        return ""
    if run.is_alive:
        return "running"
    return "done" if run.state.finished else "attention"


def _model(outlook: Outlook) -> Mark:
    answer = outlook.facts.model
    if answer is None:
        return ""
    return "done" if answer.base is not None else "attention"


def _data(outlook: Outlook, labels: "LabelState | None") -> Mark:
    answer = outlook.facts.data
    if answer is None:
        return ""
    if labels is not None and (labels.reasons or labels.stage == "failed"):
        return "attention"
    if labels is not None and labels.stage in ("reading", "fitting"):
        return "running"
    return "done" if answer.facts is not None else "attention"


def _settled(outlook: Outlook, sections: tuple[str, ...], is_settled: bool) -> Mark:
    if any(problem.path.split(".")[0] in sections for problem in outlook.problems):
        return "attention"
    return "done" if is_settled else ""
