"""`tuner runs`: all runs of a folder, newest first."""

from tui_tuner.cli.options import DEFAULT_RUNS_FOLDER, AsJson, RunsFolder

NAME = "runs"


def command(folder: RunsFolder = DEFAULT_RUNS_FOLDER, as_json: AsJson = False) -> None:
    """List the runs of a folder, newest first."""
    import dataclasses

    from tui_tuner.cli.terminal import console, print_json, show
    from tui_tuner.hosting.launches import list_launches
    from tui_tuner.journal import list_runs

    runs = (*list_launches(folder), *list_runs(folder))
    if as_json:
        print_json([{**dataclasses.asdict(run), "can_resume": run.can_resume} for run in runs])
        return
    from tui_tuner.cli.views.run_list import run_list_view

    show(run_list_view(runs, folder, console().width))
