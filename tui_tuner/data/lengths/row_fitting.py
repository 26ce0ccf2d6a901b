"""What is trained of conversations above the max length. Rows that lose turns are rendered, labelled and audited anew.

Training and `tuner labels` both go through here, so that what is seen is what is trained.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tui_tuner.data.audit.findings import Finding
from tui_tuner.data.audit.row_checks import check_fit, row_findings
from tui_tuner.data.labels import LabelledExample, LabelledRow, TrainOn, label_rows
from tui_tuner.data.lengths.cutting import cut_conversation
from tui_tuner.data.lengths.settling import OverLength
from tui_tuner.data.lengths.shorter_versions import ShorterVersions, shorter_versions
from tui_tuner.data.rendering.pool import RenderPool
from tui_tuner.data.rows import BadRow, Sample
from tui_tuner.data.tokenizer import TextTokenizer

ROWS_AT_ONCE = 16
"""A batch is shared out among the renderers."""
GUESSES = 3
"""Versions that are chosen by their estimated length; from then on the search halves what is left."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FittedRow:
    """What is trained of a conversation that is longer than the max length."""

    example: LabelledExample | None
    """None where the row is left out."""
    text: str
    """The rendering of which the example is all, or the beginning."""
    num_turns_dropped: int = 0
    findings: tuple[Finding, ...]
    """What fitting took, and what the audit says of a row that was rendered anew."""

    @property
    def is_broken_off(self) -> bool:
        """Whether an answer ends in its middle."""
        return any(one.check == "answer_cut" for one in self.findings)

    @property
    def disagreement(self) -> str | None:
        """How the two methods differ on what is left, where they do and did not on the whole row."""
        return next((one.detail for one in self.findings if one.check == "disagreement"), None)


class RowFitter:
    """Fits rows to one max length by one policy.

    "keep_turns" drops the oldest turns until the rest fits, and leaves out a row whose last exchange does not fit;
    where everything is trained there is no answer to keep whole, and such a row is cut. "drop" leaves out every longer
    row. "cut" keeps the beginning.
    """

    def __init__(
        self,
        max_length: int,
        over_length: OverLength,
        pool: RenderPool,
        tokenizer: TextTokenizer,
        train_on: TrainOn,
    ) -> None:
        """`pool` has the template that the rows were rendered with."""
        self.max_length = max_length
        self.over_length = over_length
        self._pool = pool
        self._tokenizer = tokenizer
        self._train_on: TrainOn = train_on

    def fit(
        self, samples: Sequence[Sample | BadRow], rows: Sequence[LabelledRow | BadRow]
    ) -> tuple[FittedRow | None, ...]:
        """One answer for each row; None for one that fits, has no turns, or cannot be used.

        Raises:
            DataError: the template takes too much time or memory for a row, which is named.
        """
        longer = {
            place: row
            for place, row in enumerate(rows)
            if isinstance(row, LabelledRow) and row.example.kind != "document"
            if row.example.num_tokens > self.max_length
        }
        if self.over_length == "keep_turns":
            fitted = self._without_turns({place: (samples[place], row) for place, row in longer.items()})
        elif self.over_length == "cut":
            fitted = {place: self._cut(row) for place, row in longer.items()}
        else:
            fitted = {place: self._left_out(row, "longer rows are dropped") for place, row in longer.items()}
        return tuple(fitted.get(place) for place in range(len(rows)))

    def _cut(self, row: LabelledRow) -> FittedRow:
        kept = cut_conversation(row.example, self.max_length)
        findings = check_fit(row.example, kept, why="no trained token lies before the cut")
        return FittedRow(example=kept, text=row.rendered.text, findings=findings)

    def _left_out(self, row: LabelledRow, why: str) -> FittedRow:
        return FittedRow(example=None, text=row.rendered.text, findings=check_fit(row.example, None, why=why))

    def _without_turns(self, longer: Mapping[int, tuple[Sample | BadRow, LabelledRow]]) -> dict[int, FittedRow]:
        searches = {}
        for place, (sample, row) in longer.items():
            versions = None if isinstance(sample, BadRow) else shorter_versions(sample)
            if versions is not None:
                searches[place] = _Search(versions, row.example.num_tokens / versions.full_size)
        while probes := {
            place: number for place, one in searches.items() if (number := one.probe(self.max_length)) is not None
        }:
            labelled = self._labelled(searches[place].versions.version(number) for place, number in probes.items())
            for (place, number), version in zip(probes.items(), labelled, strict=True):
                searches[place].learn(number, version, self.max_length)
        return {place: self._found(searches[place], row) for place, (_, row) in longer.items()}

    def _labelled(self, samples: Iterable[Sample]) -> list[LabelledRow | BadRow]:
        everything = list(samples)
        parts = [everything[start : start + ROWS_AT_ONCE] for start in range(0, len(everything), ROWS_AT_ONCE)]
        return [
            row
            for _, rendered in self._pool.rows((None, part) for part in parts)
            for row in label_rows(rendered, self._tokenizer, self._train_on)
        ]

    def _found(self, search: "_Search", full: LabelledRow) -> FittedRow:
        kept, number = search.found, search.fitting
        if kept is None and self._train_on == "everything":
            return self._cut(full)
        if kept is None:
            is_one = not len(search.versions)
            return self._left_out(full, "a single exchange loses no turns" if is_one else "no later part of it fits")
        num_dropped = search.versions.num_dropped(number)
        audited = (
            replace(one, message=search.versions.message_of_row(number, one.message))
            if one.message is not None
            else one
            for one in row_findings(kept, self._tokenizer)
        )
        return FittedRow(
            example=kept.example,
            text=kept.rendered.text,
            num_turns_dropped=num_dropped,
            findings=(*check_fit(full.example, kept.example, num_dropped), *audited),
        )


@dataclass(slots=True)
class _Search:
    """The search for the longest version that fits. Versions are taken to be the shorter the more turns they lack.

    Where a template makes that untrue a version that fits is found all the same, if not always the longest.
    """

    versions: ShorterVersions
    tokens_per_character: float
    too_long: int = -1
    """The shortest version known not to fit."""
    fitting: int = field(init=False)
    """The longest version known to fit; one behind the last where there is none yet."""
    found: LabelledRow | None = None
    num_probes: int = 0

    def __post_init__(self) -> None:
        self.fitting = len(self.versions)

    def probe(self, max_length: int) -> int | None:
        """The version to look at next; None at the end of the search."""
        left = range(self.too_long + 1, self.fitting)
        if not left:
            return None
        self.num_probes += 1
        if self.num_probes > GUESSES:
            return left[len(left) // 2]
        likely = (one for one in left if self.versions.sizes[one] * self.tokens_per_character <= max_length)
        return next(likely, left[-1])

    def learn(self, number: int, row: LabelledRow | BadRow, max_length: int) -> None:
        """A version that the template refuses, or that trains nothing, is as good as too long."""
        if isinstance(row, LabelledRow):
            self.tokens_per_character = row.example.num_tokens / self.versions.sizes[number]
            if row.example.num_tokens <= max_length:
                self.fitting, self.found = number, row
                return
        self.too_long = number
