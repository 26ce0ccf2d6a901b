"""The command line: `tuner COMMAND`. Commands read, plan, watch and draw; nothing here computes, and torch is imported
only by the commands that train or chat, inside their functions."""

from tui_tuner.cli.command_line import main

__all__ = ["main"]
