"""`tuner stop`: ends a run from any login."""

import time
from typing import Annotated

import typer

from tui_tuner.cli.options import DEFAULT_RUNS_FOLDER, RunsFolder

NAME = "stop"
PATIENCE_SECONDS = 20.0
POLL_SECONDS = 0.2
LivingRun = Annotated[
    str, typer.Argument(metavar="RUN", help="An id or its beginning, or the path of a run.", show_default=False)
]


def command(
    run: LivingRun,
    now: Annotated[bool, typer.Option("--now", help="End at once, without saving.")] = False,
    folder: RunsFolder = DEFAULT_RUNS_FOLDER,
) -> None:
    """End a run: finish the step, save, end."""
    from tui_tuner.cli.terminal import print_line
    from tui_tuner.errors import RunError
    from tui_tuner.hosting.launches import find_watched, is_living
    from tui_tuner.hosting.mailbox import MailboxControls
    from tui_tuner.journal.lock import lock_owner

    live = find_watched(run, folder)
    controls = MailboxControls(live)
    if not now:
        controls.stop()
        print_line(f"{live.run_id} saves after this step and ends. `tuner attach {live.run_id}` shows it.")
        return
    controls.abort()
    until = time.monotonic() + PATIENCE_SECONDS
    while is_living(live):
        if time.monotonic() > until:
            owner = lock_owner(live.path)
            raise RunError(f"{live.run_id} does not answer.", f"End its process by hand: process {owner}.")
        time.sleep(POLL_SECONDS)
    print_line(f"{live.run_id} has ended without saving. What was saved before stays valid.")
