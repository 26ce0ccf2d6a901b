"""The command line: `tuner COMMAND`. Commands read, plan, watch and draw; nothing here computes, and torch is imported
only by the commands that train or chat, inside their functions. `tuner` alone opens the app."""

import sys


def main() -> None:
    """Entry point of the `tuner` script. The app must be on screen at once, so it does not wait for the commands."""
    from tui_tuner.cli.app import open_app, opens_app

    if opens_app(sys.argv[1:]):
        raise SystemExit(open_app(sys.argv[1:]))
    from tui_tuner.cli.command_line import run_command

    run_command()


__all__ = ["main"]
