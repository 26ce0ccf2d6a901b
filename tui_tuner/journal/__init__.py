"""A run's folder: what is written while it runs, and what anyone may read at any time.

`runs/<id>/` holds recipe.toml, plan.json, events.jsonl (append-only, the truth), log.txt, checkpoints/, adapter/ and
the lock that tells a living run from a dead one.
"""

from tui_tuner.journal.listing import RunSummary, find_run, list_runs, summarise
from tui_tuner.journal.lock import is_alive
from tui_tuner.journal.reading import read_events, read_state, tail
from tui_tuner.journal.writing import RunJournal, name_taken, new_run_id

__all__ = [
    "RunJournal",
    "RunSummary",
    "find_run",
    "is_alive",
    "list_runs",
    "name_taken",
    "new_run_id",
    "read_events",
    "read_state",
    "summarise",
    "tail",
]
