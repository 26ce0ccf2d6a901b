"""The questions of the Export station: each shows a dialog and gives the answer; nothing is changed here."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from tui_tuner.exports import GGUF_TYPES, LLAMA_CPP_GGUF_TYPES, ExportKind, ExportPlanned, ServeCommand
from tui_tuner.places import is_there
from tui_tuner.safe_text import one_line
from tui_tuner.screens.dialogs.confirm import Confirm
from tui_tuner.screens.dialogs.pick import Pick
from tui_tuner.screens.dialogs.text_prompt import TextPrompt
from tui_tuner.screens.export.choices import Choices

if TYPE_CHECKING:
    from tui_tuner.screens.app import TunerApp


def folders_in_the_way(plans: Sequence[ExportPlanned]) -> list[str]:
    return [plan.folder for plan in plans if is_there(Path(plan.folder))]


async def ask_leave(app: "TunerApp", choices: Choices, in_the_way: Sequence[str]) -> bool:
    """Whether it may begin, where something is replaced or published."""
    if in_the_way:
        text = "These exports are there already:\n" + "\n".join(in_the_way)
        if not await app.push_screen_wait(Confirm("Replace them?", text, yes="Replace")):
            return False
    if ExportKind.HUB in choices.kinds:
        who = "only you can read it" if choices.is_private else "ANYONE can read it"
        text = f"The files are uploaded to {choices.repository}; {who}."
        return await app.push_screen_wait(Confirm("Upload to the hub?", text, yes="Upload"))
    return True


async def ask_cancel(app: "TunerApp") -> bool:
    text = "What is being written is removed; what was finished stays."
    return await app.push_screen_wait(Confirm("Cancel the export?", text, yes="Cancel it", no="Go on"))


async def ask_command(app: "TunerApp", commands: Sequence[ServeCommand]) -> ServeCommand | None:
    """One of them; the only one is not asked about."""
    lines = [Text.assemble((f"{one.program:<13}", "bold"), one_line(one.command, 200)) for one in commands]
    chosen = 0 if len(commands) == 1 else await app.push_screen_wait(Pick("Copy", lines))
    return commands[chosen] if chosen is not None and commands else None


async def ask_folder(app: "TunerApp", choices: Choices) -> str | None:
    """A path, or nothing but blanks for the usual place; None where nothing is to change."""
    hint = "A new folder; several kinds each get one inside. Empty: beside the adapter."
    return await app.push_screen_wait(TextPrompt("Write to", choices.out or "", hint))


async def ask_gguf_type(app: "TunerApp", choices: Choices) -> str | None:
    lines = [Text(f"{one:<8} {'by llama-quantize' if one in LLAMA_CPP_GGUF_TYPES else ''}") for one in GGUF_TYPES]
    at = GGUF_TYPES.index(choices.quantization)
    chosen = await app.push_screen_wait(Pick("GGUF type", lines, at))
    return GGUF_TYPES[chosen] if chosen is not None else None


async def ask_repository(app: "TunerApp", choices: Choices) -> str | None:
    hint = "owner/name; made if it is not there. p switches between private and public."
    return await app.push_screen_wait(TextPrompt("Repository", choices.repository or "", hint))
