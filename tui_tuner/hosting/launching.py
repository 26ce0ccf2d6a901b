"""Starts a run in a session of its own. Whatever becomes of the caller and its terminal, the run goes on."""

import itertools
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

from tui_tuner.errors import MachineError, RunError
from tui_tuner.hosting.live_folder import LiveFolder, live_folder, live_folders
from tui_tuner.hosting.notes import LaunchNote
from tui_tuner.journal import is_alive, name_taken, new_run_id
from tui_tuner.journal.lock import acquire_lock
from tui_tuner.places import path_of
from tui_tuner.recipe import Recipe, recipe_to_toml

SUPERVISOR = "tui_tuner.hosting.supervisor"
PACKAGE_ROOT = Path(__file__).resolve().parents[2]


def launch(recipe: Recipe, runs_folder: Path, *, resume: Path | None = None, accept: bool = False) -> str:
    """Start a run in `runs_folder`, or go on with the one in the folder `resume`; returns its id before anything is
    checked. With `accept` the latter goes on although data, model or recipe changed.

    Raises:
        RunError: a run of that name exists, or is being trained.
        MachineError: the folder cannot be written, or no process can be started.
    """
    if path_of(recipe.output.folder) != runs_folder:
        recipe = recipe.model_copy(update={"output": recipe.output.model_copy(update={"folder": str(runs_folder)})})
    _sweep(runs_folder)
    run_id = resume.name if resume is not None else promised_run_id(recipe, runs_folder)
    note = LaunchNote(
        run_id=run_id,
        mode="detached",
        model=recipe.model.source,
        resume=str(resume.absolute()) if resume is not None else None,
        accept=accept,
    )
    live = live_folder(runs_folder, run_id)
    lock = open_live_folder(live, note)
    try:
        live.recipe.write_text(recipe_to_toml(recipe), encoding="utf-8")
        _start(live, lock)
    except OSError as error:
        shutil.rmtree(live.path, ignore_errors=True)
        raise MachineError(f"No process can be started: {error.strerror}.") from error
    finally:
        os.close(lock)
    return run_id


def open_live_folder(live: LiveFolder, note: LaunchNote) -> int:
    """Make the folder, for its owner only, and lock it; returns the descriptor that keeps the lock.

    What a dead run of the same name left there is removed.

    Raises:
        RunError: that run lives.
        MachineError: it cannot be written.
    """
    try:
        live.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if live.path.exists():
            if is_alive(live.path):
                raise RunError(f"{live.run_id} is running.", f"`tuner attach {live.run_id}` shows it.")
            shutil.rmtree(live.path)
        live.path.mkdir(mode=0o700)
        lock = acquire_lock(live.path)
        live.mailbox.mkdir(mode=0o700)
        live.note.write_text(note.model_dump_json(), encoding="utf-8")
    except OSError as error:
        raise MachineError(
            f"{live.path} cannot be written: {error.strerror}.", "Choose another output.folder."
        ) from error
    return lock


def promised_run_id(recipe: Recipe, runs_folder: Path) -> str:
    """What a run will be called, before its plan stands.

    Raises:
        RunError: the recipe names it, and a run of that name exists.
    """
    if recipe.output.name == "auto":
        free = new_run_id(recipe.model.source, runs_folder)
        names = itertools.chain([free], (f"{free}-{number}" for number in itertools.count(2)))
        return next(name for name in names if not live_folder(runs_folder, name).path.exists())
    if (runs_folder / recipe.output.name).exists():
        raise name_taken(runs_folder / recipe.output.name)
    return recipe.output.name


def _sweep(runs_folder: Path) -> None:
    """Remove what is left of dead runs that have an adapter, and whose supervisor died with them."""
    for live in live_folders(runs_folder):
        if not live.exit.exists() and not is_alive(live.path) and (live.run_folder / "adapter").exists():
            shutil.rmtree(live.path, ignore_errors=True)


def _start(live: LiveFolder, lock: int) -> None:
    """The lock goes on with the child: it is free when both the supervisor and the engine are gone."""
    paths = [str(PACKAGE_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    with live.log.open("ab") as log:
        supervisor = subprocess.Popen(
            # -P: a module in the folder where tuner is called must not stand in for one of ours.
            [sys.executable, "-P", "-m", SUPERVISOR, str(live.path.absolute()), str(lock)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=(lock,),
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        )
    # While the caller lives, somebody must take note of the child's end, or it stays behind as a zombie.
    threading.Thread(target=supervisor.wait, name="supervisor's end", daemon=True).start()
