"""Draws a finished run as the picture in the README: the same views that the command line shows, as SVG.

usage: python -m scripts.draw_run RUN_FOLDER docs/images/demo.svg
"""

import io
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.theme import Theme

from tui_tuner.cli.terminal import STYLES
from tui_tuner.cli.views.lines import lines_of, step_line
from tui_tuner.cli.views.result import result_blocks
from tui_tuner.cli.watching.forms import PLAIN_STEP_LINES
from tui_tuner.events import DataReady, RunStarted, RunState, StepFinished
from tui_tuner.journal import read_events

WIDTH = 100
NIGHT = TerminalTheme(
    background=(16, 20, 27),
    foreground=(214, 219, 230),
    normal=[
        (40, 46, 58), (255, 122, 102), (76, 201, 154), (240, 196, 58),
        (86, 180, 233), (204, 121, 167), (86, 210, 220), (214, 219, 230),
    ],
)  # fmt: skip


def main(run_folder: Path, picture: Path) -> None:
    canvas = Console(
        theme=Theme(STYLES), markup=False, emoji=False, highlight=False, width=WIDTH, record=True, file=io.StringIO(),
        force_terminal=True, color_system="truecolor",
    )  # fmt: skip
    canvas.print("$ tuner demo", style="bold")
    state = RunState()
    for event in read_events(run_folder):
        state = state.after(event)
        if isinstance(event, StepFinished):
            total = state.total_steps or 1
            if event.step % max(1, total // (PLAIN_STEP_LINES // 3)) == 1:
                canvas.print(step_line(state, event))
        elif not isinstance(event, RunStarted | DataReady):
            for line in lines_of(state, event):
                canvas.print(line)
    canvas.print("", *result_blocks(state), sep="\n")
    picture.parent.mkdir(parents=True, exist_ok=True)
    picture.write_text(canvas.export_svg(title="tuner", theme=NIGHT), encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
