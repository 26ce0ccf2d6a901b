"""`tuner bench`."""

from tui_tuner.cli.bench.command import NAME, command

__all__ = ["NAME", "command"]
