"""The run that the app shows: started here, or attached to. The app polls it; nothing here draws."""

import os
from pathlib import Path

from tui_tuner.hosting.known_folders import remember_folder
from tui_tuner.hosting.run_view import RunView, WatchedRun
from tui_tuner.journal.lock import lock_owner
from tui_tuner.recipe import Recipe
from tui_tuner.screens.environment import Environment


class RunDesk:
    """At most one run is looked at, at a time; runs that were let go of go on by themselves."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self.run: WatchedRun | None = None
        self.view: RunView | None = None
        self.folder: Path | None = None
        """The runs folder that the run is in."""

    def start(self, recipe: Recipe) -> None:
        """Begin a run and look at it.

        Raises:
            TunerError: it cannot be started.
        """
        folder = self._environment.runs_folder.expanduser().resolve()
        remember_folder(self._environment.state_folder, folder)
        if self._environment.is_in_process:
            from tui_tuner.hosting.in_process import InProcessRun

            output = recipe.output.model_copy(update={"folder": str(folder)})
            self._take(InProcessRun(recipe.model_copy(update={"output": output})), folder)
            return
        from tui_tuner.hosting.launching import launch
        from tui_tuner.hosting.watching import RunWatcher

        self._take(RunWatcher(folder, launch(recipe, folder)), folder)

    def resume(self, run_folder: Path) -> None:
        """Go on with a run that was interrupted, in a session of its own, and look at it.

        Raises:
            TunerError: it cannot be resumed.
        """
        from tui_tuner.hosting.launching import launch
        from tui_tuner.hosting.watching import RunWatcher
        from tui_tuner.journal.writing import RECIPE_NAME
        from tui_tuner.recipe import read_recipe

        recipe = read_recipe(run_folder / RECIPE_NAME)
        run_id = launch(recipe, run_folder.parent, resume=run_folder)
        self._take(RunWatcher(run_folder.parent, run_id), run_folder.parent)

    def attach(self, runs_folder: Path, run_id: str) -> None:
        """Look at a run, living or over."""
        from tui_tuner.hosting.watching import RunWatcher

        if self.run is None or (self.run.run_id, self.folder) != (run_id, runs_folder):
            self._take(RunWatcher(runs_folder, run_id), runs_folder)

    def stay_until_it_ends(self) -> int:
        """Keep this process for a run that lives in it, now that the screen is gone; returns the exit code.

        The main thread must wait here: an interpreter whose main thread has ended starts no threads and no work.
        Ctrl-C stops the run after its step and saves.
        """
        from tui_tuner.hosting.in_process import InProcessRun

        if not isinstance(self.run, InProcessRun):
            return 0
        while True:
            try:
                if self.run.join(timeout=1.0):
                    break
            except KeyboardInterrupt:
                self.run.controls.stop()
        self.poll()
        return self.view.exit.code or 0 if self.view and self.view.exit else 0

    def let_go(self) -> None:
        self.run = self.view = self.folder = None

    def poll(self) -> bool:
        """Whether there is something new to see; `view` has it."""
        view = self.run.poll() if self.run else None
        if view is None:
            return False
        self.view = view
        return True

    @property
    def process_id(self) -> int:
        """Of the process that carries the run out; 0 where it is not known."""
        if self.run is None or self.folder is None:
            return 0
        if self._environment.is_in_process:
            return os.getpid()
        owner = lock_owner(self.folder / self.run.run_id).split(" ")[0]
        return int(owner) if owner.isdigit() else 0

    @property
    def is_running_here(self) -> bool:
        """Whether leaving the app would end the run: it lives in this process."""
        return self._environment.is_in_process and self.view is not None and self.view.is_alive

    def _take(self, run: WatchedRun, folder: Path) -> None:
        self.run, self.view, self.folder = run, None, folder
