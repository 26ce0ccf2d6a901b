"""When rows that cannot be used stop a run, and what a person is told then."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tui_tuner.data.rows import BadRow
from tui_tuner.data.store.example_store import StoredExamples
from tui_tuner.errors import DataError, LabelError
from tui_tuner.recipe import DataSection

if TYPE_CHECKING:  # a plan needs no report
    from tui_tuner.data.audit.report import LabelReport

MOST_KEPT = 10_000


class BadRows:
    """Rows that cannot be used: counted all, kept only the first of them."""

    def __init__(self) -> None:
        self.count = 0
        self.first: list[BadRow] = []

    def add(self, bad_row: BadRow) -> None:
        self.count += 1
        if len(self.first) < MOST_KEPT:
            self.first.append(bad_row)


def refuse_bad_rows(bad_rows: Sequence[BadRow], count: int, data: DataSection) -> None:
    """Stop at bad rows, of which there are `count`, unless the recipe drops them.

    Raises:
        DataError: names the first bad row, and how many more there are.
    """
    if not bad_rows or data.on_bad_row == "drop":
        return
    more = count - 1
    others = f" {more:,} more {'row' if more == 1 else 'rows'} cannot be used either." if more else ""
    raise DataError(f"{bad_rows[0]}.{others}", 'Mend them, or set data.on_bad_row = "drop" to train without them.')


def refuse_empty(
    num_train: int, examples: StoredExamples, bad_rows: Sequence[BadRow], num_bad: int, max_length: int
) -> None:
    """Stop where nothing is left to train, and say whether template or length is the cause.

    `examples` are the labelled rows before anything was cut to `max_length`, `bad_rows` the first of the others.

    Raises:
        DataError: no example has a trained token.
    """
    if num_train:
        return
    if not len(examples):
        first = f" The first: {bad_rows[0]}." if bad_rows else ""
        raise DataError(
            f"No row trains any token; all {num_bad:,} were refused.{first}",
            "Check that the chat template suits the data, and the columns of its rows.",
        )
    before_answer = min(example.answer_start for example in examples)
    raise DataError(
        f"No trained token is left of {len(examples):,} rows within max_length = {max_length}: the shortest row has "
        f"{examples.lengths.min():,} tokens, and no answer begins before token {before_answer:,}.",
        'Raise data.max_length; with data.over_length = "keep_turns" it must cover the last question and its answer, '
        'with "drop" whole rows.',
    )


def refuse_labels(report: "LabelReport") -> None:
    """Stop where the audit says that training would learn something else than was meant.

    Raises:
        LabelError: with all reasons, and the first row of the worst.
    """
    if not report.refuses:
        return
    worst = next((check for check in report.checks if check.severity == "blocking"), None)
    first = f" The first: {worst.first_refs[0]}: {worst.first_detail}." if worst else ""
    raise LabelError(f"The labels are refused. {'; '.join(report.reasons)}.{first}", worst.help if worst else "")
