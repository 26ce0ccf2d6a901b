"""An export on a terminal: what will be written, how far it is, what was proved, and how to use it."""

import sys
from typing import assert_never

from rich.console import RenderableType
from rich.text import Text

from tui_tuner.cli.failures import note
from tui_tuner.cli.terminal import show
from tui_tuner.cli.views.blocks import block, columns, facts, joined, mark, outside, outside_line, remarks
from tui_tuner.exports import (
    ExportEvent,
    ExportFailed,
    ExportFinished,
    ExportPlanned,
    ExportProgress,
    ExportProof,
    ExportWarning,
    export_form,
)
from tui_tuner.units import counted, duration, file_size

MOST_FILES = 12
LINE_WIDTH = 78


class ExportLines:
    """Draws events as they come. Progress moves on standard error, and only on a terminal."""

    def __init__(self, *, is_moving: bool) -> None:
        self._is_moving = is_moving

    def show(self, event: ExportEvent) -> None:
        match event:
            case ExportPlanned():
                show(planned_view(event))
            case ExportProgress():
                self._move(progress_text(event))
                return
            case ExportWarning():
                self._move("")
                note(f"warning: {event.message} {event.hint}".strip())
                return
            case ExportProof():
                self._move("")
                show(proof_view(event))
            case ExportFinished():
                self._move("")
                show(finished_view(event))
            case ExportFailed():
                self._move("")  # The error that follows says it.
            case _:
                assert_never(event)

    def _move(self, text: str) -> None:
        if self._is_moving:
            sys.stderr.write(f"\r{text[:LINE_WIDTH]:<{LINE_WIDTH}}\r")
            sys.stderr.flush()


def planned_view(event: ExportPlanned) -> RenderableType:
    """Files, bytes and place of one kind, before it is written."""
    table = columns("file", "size", "", right=(1,))
    for file in event.files[:MOST_FILES]:
        table.add_row(outside_line(file.name), file_size(file.num_bytes), outside_line(file.about, "quiet"))
    if len(event.files) > MOST_FILES:
        table.add_row(Text(f"and {len(event.files) - MOST_FILES} more", style="quiet"), "", "")
    free = None if event.bytes_free is None else f"{file_size(event.bytes_free)} free"
    total = sum(file.num_bytes for file in event.files)
    headline = joined(counted(len(event.files), "file"), file_size(total), free)
    place = facts([("goes to", event.folder), *([("base", event.base_model)] if event.base_model else [])])
    return block(export_form(event.export).title, headline, place, table, *_notes(event.notes))


def proof_view(event: ExportProof) -> RenderableType:
    """Each claim with what was found."""
    table = columns("", "", "")
    for check in event.checks:
        table.add_row(mark("good" if check.passed else "bad"), outside(check.claim), outside(check.found, "quiet"))
    rows = [
        (f"{one.base}", joined(f"loss {one.loss:.4f}", "chosen" if one.is_chosen else None)) for one in event.measured
    ]
    return block("Proof", outside(event.message), table, *([facts(rows)] if len(rows) > 1 else []))


def finished_view(event: ExportFinished) -> RenderableType:
    """Where it is, and the commands for exactly these files."""
    size = sum(file.num_bytes for file in event.files)
    headline = joined(counted(len(event.files), "file"), file_size(size), duration(event.seconds))
    commands = [(one.program, outside(one.command)) for one in event.commands]
    return block("Written", headline, facts([("folder", event.folder), *commands]))


def progress_text(event: ExportProgress) -> str:
    """One line."""
    share = f" {100 * event.done // event.total} %" if event.total else ""
    return f"{event.export.value}: {event.stage.value}{share} {event.detail}".rstrip()


def _notes(notes: tuple[str, ...]) -> list[RenderableType]:
    return [remarks(notes, "note")] if notes else []
