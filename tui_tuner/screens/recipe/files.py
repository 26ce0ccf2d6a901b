"""Saves the draft as a recipe file and opens one, with the questions that this needs."""

from pathlib import Path
from typing import TYPE_CHECKING

from tui_tuner.errors import TunerError
from tui_tuner.places import is_folder, is_there, path_of
from tui_tuner.screens.data.file_picker import FilePicker
from tui_tuner.screens.dialogs.confirm import Confirm
from tui_tuner.screens.dialogs.text_prompt import TextPrompt
from tui_tuner.screens.draft_file import load_draft, save_draft

if TYPE_CHECKING:
    from tui_tuner.screens.app import TunerApp

HINT = "Only what differs from the defaults is written. `tuner train FILE` runs it."


async def save_recipe(tuner: "TunerApp") -> None:
    """Ask where to, ask again before a file is replaced, and write."""
    typed = await tuner.push_screen_wait(TextPrompt("Save the recipe", tuner.draft.name, HINT, _wrong_target))
    if not typed:
        return
    path = path_of(typed)
    question = f"{path} is there already. What it holds is lost."
    if is_there(path) and not await tuner.push_screen_wait(Confirm("Replace the file?", question, "Replace", "Keep")):
        return
    try:
        save_draft(tuner.draft, path)
    except TunerError as error:
        tuner.tell(error)
        return
    tuner.notify(f"saved as {path}", markup=False)


async def open_recipe(tuner: "TunerApp") -> bool:
    """Ask which file, and take it as the draft; the draft before it can be had back with undo. Says whether it was."""
    picked = await tuner.push_screen_wait(FilePicker("Open a recipe", Path.cwd(), (".toml",)))
    if not picked:
        return False
    try:
        tuner.change_draft(load_draft(Path(picked)))
    except TunerError as error:
        tuner.tell(error)
        return False
    return True


def _wrong_target(text: str) -> str:
    path = path_of(text)
    if not text or is_folder(path):
        return "name a file"
    return "" if is_folder(path.parent) else f"there is no folder {path.parent}"
