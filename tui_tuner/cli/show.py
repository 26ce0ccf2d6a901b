"""`tuner show`: everything that is known of one run, finished or not."""

from typing import Annotated

import typer

from tui_tuner.cli.options import DEFAULT_RUNS_FOLDER, AsJson, RunsFolder

NAME = "show"
RunName = Annotated[
    str, typer.Argument(metavar="RUN", help='An id or its beginning, "last", or the path of a run.', show_default=False)
]


def command(run: RunName, folder: RunsFolder = DEFAULT_RUNS_FOLDER, as_json: AsJson = False) -> None:
    """Show a run: plan, loss curve, samples, proof."""
    from tui_tuner.cli.terminal import print_line, show
    from tui_tuner.journal import find_run, read_state, summarise

    run_folder = find_run(run, folder)
    state = read_state(run_folder)
    if as_json:
        from tui_tuner.cli.views.run_json import run_json

        print_line(run_json(summarise(run_folder), state))
        return
    from tui_tuner.cli.views.run import run_view

    show(run_view(summarise(run_folder), state))
