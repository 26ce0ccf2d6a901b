"""`tuner attach`: shows a run that goes on in another process, as if it had been started here."""

import sys
from typing import Annotated

import typer

from tui_tuner.cli.options import DEFAULT_RUNS_FOLDER, AsJson, RunsFolder

NAME = "attach"
LivingRun = Annotated[
    str | None,
    typer.Argument(
        metavar="RUN", help="An id or its beginning, or the path of a run; the newest living one if left out.",
        show_default=False,
    ),
]  # fmt: skip


Plain = Annotated[bool, typer.Option("--plain", help="Lines instead of the app.")]


def command(
    run: LivingRun = None, folder: RunsFolder = DEFAULT_RUNS_FOLDER, as_json: AsJson = False, plain: Plain = False
) -> None:
    """Watch and steer a run that was started elsewhere, in the app where there is a terminal.

    Leaving it (q, or Ctrl-C) does not end the run.
    """
    from tui_tuner.hosting.launches import find_watched

    live = find_watched(run, folder)
    if not (as_json or plain) and sys.stdin.isatty() and sys.stdout.isatty():
        from tui_tuner.screens.app import open_app
        from tui_tuner.screens.environment import real_environment

        runs_folder = live.runs_folder.absolute()
        raise typer.Exit(open_app(real_environment(runs_folder), attach_to=(runs_folder, live.run_id)))
    from tui_tuner.cli.watching.attaching import attach

    raise typer.Exit(attach(live, as_json=as_json))
