"""`tuner` without a command: opens the app. Imports nothing that the first frame does not need."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

OPTIONS = ("--in-process", "--folder")


def opens_app(arguments: Sequence[str]) -> bool:
    """Whether a command line asks for the app: no command, and only the app's own options."""
    rest = list(arguments)
    while rest and rest[0] in OPTIONS:
        rest = rest[2:] if rest[0] == "--folder" else rest[1:]
    return not rest and (sys.stdout.isatty() or bool(arguments))


def open_app(arguments: Sequence[str]) -> int:
    """Run the app in this terminal; returns its exit code."""
    parser = argparse.ArgumentParser(prog="tuner", add_help=False)
    parser.add_argument("--in-process", action="store_true")
    parser.add_argument("--folder", type=Path, default=Path("runs"))
    options = parser.parse_args(arguments)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        sys.stderr.write("error: the app needs a terminal\n  try: `tuner --help` lists what works without one.\n")
        return 2
    from tui_tuner.screens.terminal.first_frame import draw_first_frame, give_keys_back, hold_keys, remove_first_frame

    settings = hold_keys()
    draw_first_frame()
    try:
        from tui_tuner.screens import app
        from tui_tuner.screens.environment import real_environment

        return app.open_app(real_environment(options.folder, is_in_process=options.in_process))
    except BaseException:
        remove_first_frame()
        raise
    finally:
        give_keys_back(settings)
