"""Copies text by OSC 52, which reaches the clipboard of the person's own machine, and keeps it in a file as well."""

from typing import TYPE_CHECKING

from textual.app import App

from tui_tuner.errors import MachineError

if TYPE_CHECKING:
    from tui_tuner.screens.app import TunerApp

CLIPBOARD_NAME = "clipboard.txt"


def copy_text(app: "App[object] | TunerApp", text: str) -> None:
    """Send the text to the terminal's clipboard and say so. Terminals may refuse silently, hence the file."""
    from tui_tuner.screens.app import TunerApp

    assert isinstance(app, TunerApp)
    app.copy_to_clipboard(text)
    path = app.environment.state_folder / CLIPBOARD_NAME
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        app.tell(MachineError(f"{path} cannot be written: {error.strerror}."))
        return
    app.notify(f"copied {len(text):,} characters (OSC 52, and {path})", markup=False)
