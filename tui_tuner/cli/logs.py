"""`tuner logs`: what a run's process and its libraries said beside the events."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tui_tuner.cli.attach import LivingRun
from tui_tuner.cli.options import DEFAULT_RUNS_FOLDER, RunsFolder

if TYPE_CHECKING:
    from tui_tuner.hosting.live_folder import LiveFolder

NAME = "logs"
POLL_SECONDS = 0.25
BITE_BYTES = 1 << 20


def command(
    run: LivingRun = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run ends.")] = False,
    folder: RunsFolder = DEFAULT_RUNS_FOLDER,
) -> None:
    """Print the log of a run."""
    from tui_tuner.cli.terminal import print_line
    from tui_tuner.hosting.launches import find_watched
    from tui_tuner.safe_text import visible

    for line in _lines(find_watched(run, folder), follow=follow):
        print_line(visible(line))


def _lines(live: "LiveFolder", *, follow: bool) -> Iterator[str]:
    """Of both logs: the run's own, and what its process said before and beside it."""
    from tui_tuner.hosting.launches import is_living
    from tui_tuner.journal.writing import LOG_NAME

    offsets = {live.run_folder / LOG_NAME: 0, live.log: 0}
    while True:
        was_alive = is_living(live)
        for path in offsets:
            while text := _read(path, offsets[path], whole=not (follow and was_alive)):
                offsets[path] += len(text)
                yield from text.decode(errors="replace").splitlines()
        if not (follow and was_alive):
            return
        time.sleep(POLL_SECONDS)


def _read(path: Path, offset: int, *, whole: bool) -> bytes:
    """The next lines; a last one that has no end yet only where nothing more will come."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            text = file.read(BITE_BYTES)
    except FileNotFoundError:
        return b""
    return text if whole or len(text) == BITE_BYTES else text[: text.rfind(b"\n") + 1]
