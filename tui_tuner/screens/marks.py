"""How each station stands, from the outlook of the draft: what the rail shows."""

from tui_tuner.screens.outlook import Outlook
from tui_tuner.screens.stations import Mark, Marks


def station_marks(outlook: Outlook) -> Marks:
    """Done where a choice is made and plans, attention where something stands against it."""
    draft = outlook.draft
    return {
        "model": _model(outlook),
        "targets": _settled(outlook, ("adapter",), outlook.adapter is not None),
        "data": _data(outlook),
        "recipe": _settled(outlook, ("optimizer", "training", "acceleration", "output"), draft.recipe is not None),
    }


def _model(outlook: Outlook) -> Mark:
    answer = outlook.facts.model
    if answer is None:
        return ""
    return "done" if answer.base is not None else "attention"


def _data(outlook: Outlook) -> Mark:
    answer = outlook.facts.data
    if answer is None:
        return ""
    return "done" if answer.facts is not None else "attention"


def _settled(outlook: Outlook, sections: tuple[str, ...], is_settled: bool) -> Mark:
    if any(problem.path.split(".")[0] in sections for problem in outlook.problems):
        return "attention"
    return "done" if is_settled else ""
