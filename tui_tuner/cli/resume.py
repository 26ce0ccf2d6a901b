"""`tuner resume`: goes on with a run that was stopped, interrupted or killed, as if that had not happened."""

from typing import Annotated

import typer

from tui_tuner.cli.options import DEFAULT_RUNS_FOLDER, AsJson, RunsFolder

NAME = "resume"
RunName = Annotated[
    str, typer.Argument(metavar="RUN", help='An id or its beginning, "last", or the path of a run.', show_default=False)
]
Accept = Annotated[
    bool, typer.Option("--accept", help="Go on although data, model, recipe or versions changed; noted in the journal.")
]


def command(
    run: RunName, accept: Accept = False, folder: RunsFolder = DEFAULT_RUNS_FOLDER, as_json: AsJson = False
) -> None:
    """Go on with a run from its newest whole checkpoint, bit for bit.

    It refuses, with a table, where something that the run is made of has changed since.
    """
    from tui_tuner.cli.watching.following import follow_resumed
    from tui_tuner.journal import find_run

    raise typer.Exit(follow_resumed(find_run(run, folder), accept=accept, as_json=as_json))
