"""The help of the Runs station, about the run under the cursor. Text from outside is made plain for Markdown."""

from tui_tuner.safe_text import visible
from tui_tuner.screens.runs.catalogue import RunEntry
from tui_tuner.screens.runs.rows import problem_line
from tui_tuner.units import loss

INTRODUCTION = """\
Every run of the known runs folders: living ones first, then the newest.

**best eval** is the lowest loss on held-out rows; lower is better, and runs on other data are not comparable.
A run goes on without the app: open it from any login."""


def help_words(entry: RunEntry | None) -> str:
    """The figures of the run under the cursor in words, and what the list is."""
    if entry is None:
        return INTRODUCTION
    run = entry.summary
    total = f" of {run.total_steps:,}" if run.total_steps else ""
    words = [
        f"**{_plain(run.id)}** ({_plain(run.model or 'model not known')}) is {run.state}, at step {run.step:,}{total}."
    ]
    if run.last_loss is not None:
        words.append(f"Its last training loss was {loss(run.last_loss)}.")
    if run.best_loss is not None:
        words.append(f"Its best held-out loss is {loss(run.best_loss)}.")
    if run.checkpoint_step is not None:
        words.append(f"The newest checkpoint is of step {run.checkpoint_step:,}.")
    problem = problem_line(entry)
    return "\n\n".join([" ".join(words), *([_plain(problem)] if problem else []), INTRODUCTION])


def _plain(text: str) -> str:
    return visible(text).translate({ord(sign): f"\\{sign}" for sign in "\\`*_[]<>#|"})
