"""When rows that cannot be used stop a run, and what a person is told then."""

from collections.abc import Sequence

from tui_tuner.data.labels import LabelledExample
from tui_tuner.data.rows import BadRow
from tui_tuner.errors import DataError
from tui_tuner.recipe import DataSection


def refuse_bad_rows(bad_rows: Sequence[BadRow], data: DataSection) -> None:
    """Stop at bad rows unless the recipe drops them.

    Raises:
        DataError: names the first bad row, and how many more there are.
    """
    if not bad_rows or data.on_bad_row == "drop":
        return
    more = len(bad_rows) - 1
    others = f" {more:,} more {'row' if more == 1 else 'rows'} cannot be used either." if more else ""
    raise DataError(f"{bad_rows[0]}.{others}", 'Mend them, or set data.on_bad_row = "drop" to train without them.')


def refuse_empty(
    train: Sequence[LabelledExample], examples: Sequence[LabelledExample], bad_rows: Sequence[BadRow], max_length: int
) -> None:
    """Stop where nothing is left to train, and say whether template or length is the cause.

    `examples` are the labelled rows before anything was cut to `max_length`.

    Raises:
        DataError: no example has a trained token.
    """
    if train:
        return
    if not examples:
        first = f" The first: {bad_rows[0]}." if bad_rows else ""
        raise DataError(
            f"No row trains any token; all {len(bad_rows):,} were refused.{first}",
            "Check that the chat template suits the data, and the columns of its rows.",
        )
    shortest = min(example.num_tokens for example in examples)
    before_answer = min(example.answer_start for example in examples)
    raise DataError(
        f"No trained token is left of {len(examples):,} rows within max_length = {max_length}: the shortest row has "
        f"{shortest:,} tokens, and no answer begins before token {before_answer:,}.",
        'Raise data.max_length; with data.over_length = "drop" it must cover whole rows.',
    )
