"""Finds runs that live, and launches that never became a run: what `journal.list_runs` cannot see."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tui_tuner.errors import RunError
from tui_tuner.hosting.live_folder import LiveFolder, live_folder, live_folders
from tui_tuner.hosting.notes import ExitStatus, LaunchNote, read_note
from tui_tuner.hosting.tailing import last_lines
from tui_tuner.journal import RunSummary, find_run, is_alive, summarise
from tui_tuner.journal.writing import EVENTS_NAME


def is_living(live: LiveFolder) -> bool:
    """Whether a process carries the run out now."""
    return not live.exit.exists() and (is_alive(live.path) or is_alive(live.run_folder))


def list_launches(runs_folder: Path) -> tuple[RunSummary, ...]:
    """Runs without a folder of their own, newest first: "running" before it is made, "failed" where it never was.

    `folder` of a summary is the live folder.
    """
    launches = [_summary(live) for live in live_folders(runs_folder) if not (live.run_folder / EVENTS_NAME).exists()]
    return tuple(sorted(launches, key=lambda one: (one.started or 0.0, one.id), reverse=True))


def living_runs(runs_folder: Path) -> tuple[str, ...]:
    """Ids of the runs that are carried out now, the one that was launched last in front."""
    living = [live for live in live_folders(runs_folder) if is_living(live)]
    return tuple(live.run_id for live in sorted(living, key=_launched_at, reverse=True))


def find_watched(text: str | None, runs_folder: Path) -> LiveFolder:
    """Where to watch the run that is meant by an id, the beginning of one, "last", a path; None is the newest living.

    Raises:
        RunError: there is none, or more than one.
    """
    if text is None:
        living = living_runs(runs_folder)
        if not living:
            raise RunError(f"No run in {runs_folder} is running.", "`tuner runs` lists those that ended.")
        return live_folder(runs_folder, living[0])
    ids = [one.id for one in list_launches(runs_folder)]
    matching = [text] if text in ids else [one for one in ids if one.startswith(text)]
    if len(matching) == 1:
        return live_folder(runs_folder, matching[0])
    # An absolute path, for "." has no name.
    found = find_run(text, runs_folder).absolute()
    return live_folder(found.parent, found.name)


def forget(runs_folder: Path, run_id: str) -> None:
    """Remove what is left of a dead run beside its own folder.

    Raises:
        RunError: it lives.
    """
    live = live_folder(runs_folder, run_id)
    if is_living(live):
        raise RunError(f"{run_id} is running.", f"`tuner stop {run_id}` ends it.")
    shutil.rmtree(live.path, ignore_errors=True)


def _summary(live: LiveFolder) -> RunSummary:
    note = read_note(live.note, LaunchNote)
    is_alive_now = is_living(live)
    summary = RunSummary(id=live.run_id, folder=str(live.path), state="running")
    if live.events.exists() and live.events.stat().st_size:
        summary = summarise(live.path)
    started = note.launched_at if note else summary.started
    model = summary.model or (note.model if note else "")
    if is_alive_now:
        return replace(summary, state="running", started=started, model=model)
    return replace(summary, state="failed", started=started, model=model, problem=summary.problem or _end(live))


def _end(live: LiveFolder) -> str:
    status = read_note(live.exit, ExitStatus)
    said: Sequence[str] = last_lines(live.log, 1)
    return "; ".join(filter(None, [status.text if status else "its process is gone", *said]))


def _launched_at(live: LiveFolder) -> float:
    note = read_note(live.note, LaunchNote)
    return note.launched_at if note else 0.0
