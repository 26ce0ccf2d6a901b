"""Draws views as text, and names the command line as a program for the tests that need a process of its own."""

import sys
from pathlib import Path

from rich.console import RenderableType

from tui_tuner.cli.terminal import make_console

ROOT = Path(__file__).resolve().parents[2]
TUNER = [sys.executable, "-c", "from tui_tuner.cli import main; main()"]


def drawn(view: RenderableType, width: int = 80) -> str:
    """A view as plain text, without the spaces at the ends of its lines."""
    console = make_console(width)
    with console.capture() as captured:
        console.print(view)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())
