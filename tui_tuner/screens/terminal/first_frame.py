"""Puts the rail on the terminal while the app is still being imported, so that a slow machine answers at once, and
keeps what is typed meanwhile as the keys that were pressed.

Imports nothing but the standard library; the app draws over it with the same line.
"""

import os
import sys
import termios
from typing import Any

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


def hold_keys() -> list[Any]:
    """Keys wait for the app as they are: not shown, not gathered to lines, Enter not turned into a new line.

    Returns the terminal's settings, for `give_keys_back`: Textual would restore what it finds here.
    """
    before = termios.tcgetattr(sys.stdin.fileno())
    held = [*before]
    held[0] &= ~termios.ICRNL
    held[3] &= ~(termios.ICANON | termios.ECHO)
    termios.tcsetattr(sys.stdin.fileno(), termios.TCSANOW, held)
    return before


def give_keys_back(before: list[Any]) -> None:
    """The terminal's settings as they were; nothing where it is gone."""
    if os.isatty(sys.stdin.fileno()):
        termios.tcsetattr(sys.stdin.fileno(), termios.TCSANOW, before)


def remove_first_frame() -> None:
    """Give the terminal back, where the app could not start."""
    sys.stdout.write(LEAVE)
    sys.stdout.flush()
