"""Whether what the checks found stops a training, by the policies of the recipe. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from tui_tuner.data.audit.findings import CHECKS

OnDisagreement = Literal["refuse", "drop", "keep"]
OnBadRow = Literal["refuse", "drop"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Counts that decide, and the policies."""

    totals: Mapping[str, int]
    """Rows of each check."""
    refused: Mapping[str, int]
    """Those of them that became no labels."""
    num_labelled: int
    left_out: tuple[int, int] | None
    """Rows that a max length leaves out, and that length; None where none is in force."""
    on_disagreement: OnDisagreement
    on_bad_row: OnBadRow

    def blocking(self) -> dict[str, int]:
        """Rows of each check that stops the training."""
        found = {}
        for name, info in CHECKS.items():
            count = self.totals.get(name, 0)
            if self.on_bad_row == "drop":
                count -= self.refused.get(name, 0)
            is_allowed = name == "disagreement" and self.on_disagreement != "refuse"
            if count and info.severity == "blocking" and not is_allowed:
                found[name] = count
        return found

    def reasons(self) -> Iterator[str]:
        """Why training would refuse; nothing where it would not."""
        for name, count in self.blocking().items():
            yield f"{CHECKS[name].title}: {count:,} {'row' if count == 1 else 'rows'}"
        if not self.num_labelled:
            yield "No row has labels"
        elif self.left_out is not None and self.left_out[0] == self.num_labelled:
            yield f"No row fits into {self.left_out[1]:,} tokens"
