"""Puts the rail on the terminal while the app is still being imported, so that a slow machine answers at once.

Imports nothing but the standard library; the app draws over it with the same line.
"""

import os
import sys

from tui_tuner.screens.stations import STATIONS

ENTER = "\x1b[?1049h\x1b[?25l\x1b[2J\x1b[H"
LEAVE = "\x1b[?25h\x1b[?1049l"
WIDE = 100


def draw_first_frame() -> None:
    """Enter the alternate screen and draw the rail; only for a terminal."""
    width = os.get_terminal_size(sys.stdout.fileno()).columns
    line = " ".join(
        f"{entry.key} {entry.title}" if width >= WIDE else f"{entry.key}{entry.title}" for entry in STATIONS
    )
    sys.stdout.write(ENTER + f"tuner {line}"[:width] + "\r\n\r\n opening…")
    sys.stdout.flush()


def remove_first_frame() -> None:
    """Give the terminal back, where the app could not start."""
    sys.stdout.write(LEAVE)
    sys.stdout.flush()
