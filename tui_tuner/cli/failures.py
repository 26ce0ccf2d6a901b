"""Errors on stderr: one line saying what is wrong, one saying what to do."""

import sys
from collections.abc import Iterator, Sequence

from tui_tuner.errors import Change, RecipeError, TunerError
from tui_tuner.redaction import redacted
from tui_tuner.safe_text import visible


def report_error(error: TunerError) -> None:
    """A recipe's problems are listed one by one; anything else is its message and its hint."""
    if isinstance(error, RecipeError):
        for problem in error.problems:
            of_the_file = f"{error.source} {problem.message}"
            _line(f"error: {of_the_file if problem.path == 'file' else f'{error.source}: {problem}'}")
        return
    _line(f"error: {error.message}")
    for line in _table(error.changes):
        _line(line)
    if error.hint:
        _line(f"  try: {error.hint}")


def _table(changes: Sequence[Change]) -> Iterator[str]:
    """What changed, before and now, in columns."""
    if not changes:
        return
    rows = [("what", "before", "now"), *((visible(one.what), visible(one.before), visible(one.now)) for one in changes)]
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    for what, before, now in rows:
        yield f"  {what:<{widths[0]}}  {before:<{widths[1]}}  {now}"


def report_bug(error: Exception, log: str = "") -> None:
    """The traceback, unless a log has it already, and what it means."""
    if not log:
        import traceback

        sys.stderr.write(redacted("".join(traceback.format_exception(error))))
    _line(f"error: this is a bug in tuner: {type(error).__name__}: {error}")
    _line(f"  try: Please report it with {f'the traceback in {log}' if log else 'the lines above'}.")


def note(text: str) -> None:
    """A remark that belongs to no result, such as a warning."""
    _line(text)


def _line(text: str) -> None:
    sys.stderr.write(visible(redacted(text)).replace("\n", " ") + "\n")
    sys.stderr.flush()
