"""Which labels the present draft asks for. Two drafts with equal wishes have the same labels, findings and verdict."""

from dataclasses import dataclass
from pathlib import Path

from tui_tuner.data.audit.refusing import OnBadRow, OnDisagreement
from tui_tuner.data.lengths.settling import OverLength
from tui_tuner.data.looking.request import LookRequest, look_request
from tui_tuner.recipe import DataSection
from tui_tuner.screens.draft import UNCHOSEN
from tui_tuner.screens.outlook import Outlook


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    """What the recipe says of rows that are too long or cannot be used."""

    over_length: OverLength
    on_bad_row: OnBadRow
    on_disagreement: OnDisagreement


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelWish:
    """All that labels depend on."""

    request: LookRequest
    data: DataSection
    context_length: int
    tokenizer_folder: Path

    @property
    def policies(self) -> Policies:
        data = self.data
        return Policies(over_length=data.over_length, on_bad_row=data.on_bad_row, on_disagreement=data.on_disagreement)

    def is_same_as(self, other: "LabelWish") -> bool:
        """Whether labels and verdict are the same; seeds and split may differ."""
        mine, others = (
            (one.request, one.policies, one.data.max_length, one.context_length, one.tokenizer_folder)
            for one in (self, other)
        )
        return mine == others


def wish_of(outlook: Outlook) -> LabelWish | None:
    """None where model or data are not chosen, or the model's tokenizer is not on this machine."""
    recipe, _ = outlook.draft.preview
    base = outlook.base
    if recipe is None or base is None or base.facts.folder is None or recipe.data.sources[0].path == UNCHOSEN:
        return None
    folder = Path(base.facts.folder)
    if not (folder / "tokenizer.json").is_file():
        return None
    return LabelWish(
        request=look_request(recipe.data, recipe.objective.train_on, folder),
        data=recipe.data,
        context_length=base.facts.context_length,
        tokenizer_folder=folder,
    )
