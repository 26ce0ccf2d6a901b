"""What `?` says about the Data station, with the figures of now."""

from tui_tuner.data.audit.findings import CHECKS
from tui_tuner.safe_text import one_line
from tui_tuner.screens.data.labels import Labels, Sample
from tui_tuner.units import count, counted

STATION = """\
The rows as the model will see them, with the labels that training uses: made by the same code, over every row.

Every token is either **trained** (bold, lit, a bar in the gutter) or **masked** (plain, a dot in the gutter).
Labels are derived twice, by two methods that share no code; where they differ the row is refused. A run cannot start
while a check stops it.

In the list, the bar and the per cent are the share of a row's tokens that is trained.
`w` goes to the next row with a problem, `f` offers what can be done, `/` finds rows:
`>2000` or `<50` tokens, `<10%` trained, a row's number, or words of a check."""


def station_help(labels: Labels | None) -> str:
    """The text of the station."""
    if labels is None or labels.counted is None:
        return STATION
    counted_up = labels.counted
    share = counted_up.num_trained / max(1, counted_up.num_tokens)
    figures = (
        f"\n\nNow: {counted(labels.num_rows, 'row')}, {count(counted_up.num_tokens)} tokens, of which "
        f"{count(counted_up.num_trained)} ({share:.1%}) are trained; {counted(len(counted_up.problem_rows), 'row')} "
        "with a warning or worse."
    )
    reasons = "".join(f"\n\n**Training would refuse**: {reason}." for reason in labels.reasons)
    return STATION + figures + reasons


def sample_help(sample: Sample | None) -> str:
    """The text of the sample panel: what was found in this row, and what each finding means."""
    text = "One row, token by token. `m` changes between labels, plain text and token ids; `y` copies the text."
    if sample is None:
        return text
    text += f"\n\nIt stands at `{one_line(sample.ref).replace('`', '')}`."
    for found in sample.findings:
        text += f"\n\n**{CHECKS[found.check].title}**: {CHECKS[found.check].help}"
    return text


CHECKS_HELP = """\
Every check that found something, with the number of rows. Enter lists these rows alone; Enter again, or Escape, lists
all. A cross stops the training, an exclamation mark is to be looked at, a dot is a note."""
