"""What the terminal can show: size, characters, colours, and whether what is copied can reach the clipboard."""

import os
from collections.abc import Iterator, Mapping

from tui_tuner.diagnosis.check import Check, Status

MIN_WIDTH, MIN_HEIGHT = 80, 24
TRUE_COLOUR = ("truecolor", "24bit")
PASS_CLIPBOARD = ("kitty", "alacritty", "wezterm", "iterm", "ghostty", "foot", "windows", "contour", "rio")
"""Beginnings of what terminals call themselves that take OSC 52 as they come."""


def terminal_checks(size: os.terminal_size, encoding: str, variables: Mapping[str, str]) -> Iterator[Check]:
    yield terminal_check(size, encoding, variables.get("TERM", ""))
    yield colour_check(variables)
    yield clipboard_check(variables)


def terminal_check(size: os.terminal_size, encoding: str, kind: str) -> Check:
    finding = f"{size.columns} × {size.lines}, {kind or 'no TERM'}, {encoding or 'no encoding'}"
    if "utf" not in encoding.lower():
        return _check("terminal", "warning", finding, "export LANG=C.UTF-8, so that bars and curves can be drawn")
    if size.columns < MIN_WIDTH or size.lines < MIN_HEIGHT:
        return _check("terminal", "warning", finding, f"Make it at least {MIN_WIDTH} × {MIN_HEIGHT}.")
    return _check("terminal", "ok", finding)


def colour_check(variables: Mapping[str, str]) -> Check:
    kind = variables.get("TERM", "")
    if "NO_COLOR" in variables:
        return _check("colours", "note", "none, as NO_COLOR asks; signs carry every meaning")
    if variables.get("COLORTERM", "").lower() in TRUE_COLOUR or kind.endswith("-direct"):
        return _check("colours", "ok", "16 million")
    fix = "If the terminal can show more: export COLORTERM=truecolor (sshd drops it unless AcceptEnv names it)."
    return _check("colours", "note", "256" if "256color" in kind else "16, or fewer", fix)


def clipboard_check(variables: Mapping[str, str]) -> Check:
    """OSC 52 cannot be asked about; what is known of the terminal is said."""
    if "TMUX" in variables:
        fix = "In ~/.tmux.conf: set -g set-clipboard on"
        return _check("clipboard", "note", "y copies by OSC 52, which tmux passes on only if it is told to", fix)
    if "STY" in variables:
        return _check("clipboard", "note", "screen passes no OSC 52 on", "y also writes the text into a file, and says")
    name = (variables.get("TERM_PROGRAM", "") or variables.get("TERM", "")).lower()
    known = any(one in name for one in PASS_CLIPBOARD) or "WT_SESSION" in variables
    if known:
        return _check("clipboard", "ok", "y copies by OSC 52, which this terminal takes")
    fix = "If nothing arrives, allow OSC 52 in its settings; y also writes the text into a file, and says which."
    return _check("clipboard", "note", "y copies by OSC 52; whether this terminal takes it cannot be asked", fix)


def _check(name: str, status: Status, finding: str, fix: str = "") -> Check:
    return Check(name, status, finding, fix, "terminal")
