"""`tuner labels`: what every row trains, checked over the whole data set, and the rows themselves to look at."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tui_tuner.cli.options import AsJson, Overrides

if TYPE_CHECKING:
    from tui_tuner.cli.label_check.choices import Choice

NAME = "labels"
EXIT_LABELS_REFUSED = 3
SHOWN_WORST = 3
LISTED_ROWS = 20

Recipe = Annotated[Path | None, typer.Argument(metavar="RECIPE", help="The recipe, a TOML file.", show_default=False)]
Model = Annotated[
    Path | None,
    typer.Option(
        "--model", metavar="FOLDER", help="Instead of a recipe: a folder with a tokenizer.", show_default=False
    ),
]
Data = Annotated[
    list[str] | None,
    typer.Option("--data", metavar="FILE", help="Instead of a recipe: the rows. May be repeated.", show_default=False),
]
Template = Annotated[
    str | None,
    typer.Option("--template", metavar="FILE", help='A .jinja file, "plain" or "chatml".', show_default=False),
]
MaxLength = Annotated[
    int | None,
    typer.Option("--max-length", metavar="N", min=8, help="Show what is left at this length.", show_default=False),
]
TrainOn = Annotated[
    Literal["assistant", "last_assistant", "everything"] | None,
    typer.Option("--train-on", help="Which turns are trained.", show_default=False),
]
Row = Annotated[
    int | None, typer.Option("--row", metavar="N", min=0, help="Show this row in full; from 0.", show_default=False)
]
Check = Annotated[
    str | None,
    typer.Option("--check", metavar="NAME", help='List the rows that a check, or "any", found.', show_default=False),
]
NextCheck = Annotated[
    str | None,
    typer.Option(
        "--next", metavar="NAME", help='Show the first row, after --row N, that a check, or "any", found.',
        show_default=False,
    ),
]  # fmt: skip
Limit = Annotated[
    int | None, typer.Option("--limit", metavar="N", min=1, help="How many rows to show.", show_default=False)
]


def command(
    recipe: Recipe = None,
    overrides: Overrides = None,
    model: Model = None,
    data: Data = None,
    template: Template = None,
    max_length: MaxLength = None,
    train_on: TrainOn = None,
    row: Row = None,
    tokens: Annotated[bool, typer.Option("--tokens", help="Show each token of the rows with its id.")] = False,
    worst: Annotated[bool, typer.Option("--worst", help="Show the rows with the gravest findings.")] = False,
    check: Check = None,
    next_check: NextCheck = None,
    limit: Limit = None,
    as_json: AsJson = False,
    report_json: Annotated[bool, typer.Option("--report-json", help="Print the report as one JSON line.")] = False,
) -> None:
    """Check the labels of every row, and look at rows.

    Loads no model. The exit code is 3 where training would refuse the data.
    """
    from tui_tuner.cli.label_check.inputs import Asked, read_inputs
    from tui_tuner.cli.label_check.output import print_json_lines, show_labels

    choice = _choice(row, check, next_check, limit, is_worst=worst)
    inputs = read_inputs(
        Asked(
            recipe=recipe,
            overrides=overrides or (),
            model=model,
            data=data or (),
            template=template,
            max_length=max_length,
            train_on=train_on,
        )
    )
    if as_json or report_json:
        refuses = print_json_lines(inputs, choice, with_rows=as_json, with_report=report_json)
    else:
        refuses = show_labels(inputs, choice, with_tokens=tokens)
    raise typer.Exit(EXIT_LABELS_REFUSED if refuses else 0)


def _choice(
    row: int | None, check: str | None, next_check: str | None, limit: int | None, *, is_worst: bool
) -> "Choice | None":
    """Which rows were asked for; None for all of them."""
    from tui_tuner.cli.label_check.choices import CheckedRows, NextRow, NumberedRow, WorstRows, known_check
    from tui_tuner.errors import TunerError

    if sum((check is not None, is_worst, next_check is not None or row is not None)) > 1:
        raise TunerError("Only one of --row (with --next), --check and --worst at a time.", "Leave the others out.")
    if next_check is not None:
        return NextRow(known_check(next_check), -1 if row is None else row)
    if row is not None:
        return NumberedRow(row)
    if check is not None:
        return CheckedRows(known_check(check), limit or LISTED_ROWS)
    return WorstRows(limit or SHOWN_WORST) if is_worst else None
