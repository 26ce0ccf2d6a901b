"""The kinds of export as lines, and one kind in full: pure functions from values to text."""

from collections.abc import Iterator, Sequence

from rich.style import Style
from rich.text import Text

from tui_tuner.exports import ExportForm, ExportPlanned, ExportProgress, ExportProof, ExportState, ServeCommand
from tui_tuner.safe_text import one_line, visible
from tui_tuner.screens.look.glyphs import Glyphs
from tui_tuner.screens.look.inks import BOLD, Inks
from tui_tuner.screens.widgets.bars import bar
from tui_tuner.units import counted, duration, file_size

TITLE_WIDTH = 13
STANDING_WIDTH = 9
SIZE_WIDTH = 9
USERS_FROM = 30
"""Cells from which on it is said who uses a kind; where there is less, the words below the list say it."""
MOST_FILES = 12


def kind_line(form: ExportForm, state: ExportState, width: int, glyphs: Glyphs, inks: Inks, *, is_chosen: bool) -> Text:
    """Whether it is chosen, its name, who uses it, its size, and how it stands."""
    line = Text(no_wrap=True)
    line.append(f"{glyphs.marked if is_chosen else glyphs.unmarked} ", style=inks.you if is_chosen else inks.muted)
    line.append(form.title.ljust(TITLE_WIDTH), style=inks.plain + BOLD if is_chosen else inks.plain)
    words, ink = standing(state, glyphs, inks)
    size = file_size(sum(one.num_bytes for one in state.planned.files)) if state.planned else ""
    room = max(0, width - line.cell_len - SIZE_WIDTH - max(STANDING_WIDTH, len(words)) - 2)
    users = one_line(form.used_by, room) if room >= USERS_FROM else ""
    line.append(users.ljust(room), style=inks.muted)
    line.append(size.rjust(SIZE_WIDTH), style=inks.plain)
    line.append("  " + words, style=ink)
    line.truncate(width, overflow="ellipsis")
    return line


def standing(state: ExportState, glyphs: Glyphs, inks: Inks) -> tuple[str, Style]:
    """In a word or two."""
    if state.failed is not None:
        return f"{glyphs.failed} failed", inks.error
    if state.finished is not None:
        return f"{glyphs.done} written", inks.success
    if state.progress is not None:
        share = _share(state.progress)
        return f"{glyphs.running} {state.progress.stage}{f' {share:.0%}' if share is not None else ''}", inks.train
    return ("planned", inks.muted) if state.planned is not None else ("", inks.muted)


def detail(
    form: ExportForm, state: ExportState, commands: Sequence[ServeCommand], width: int, glyphs: Glyphs, inks: Inks
) -> Text:
    """One kind in full: what it is, or how far it is, the proof, the commands and the files."""
    parts = [part for part in _parts(form, state, commands, width, glyphs, inks) if part]
    return Text("\n\n").join(parts)


def _parts(
    form: ExportForm, state: ExportState, commands: Sequence[ServeCommand], width: int, glyphs: Glyphs, inks: Inks
) -> Iterator[Text]:
    if state.failed is not None:
        yield Text(f"{glyphs.failed} {visible(state.failed.message)}", style=inks.error + BOLD)
        yield Text.assemble((f"{glyphs.arrow} ", inks.you), visible(state.failed.hint)) if state.failed.hint else Text()
    elif state.finished is not None:
        yield written_text(state, glyphs, inks)
    elif state.progress is not None:
        yield progress_text(state.progress, width, glyphs, inks)
    else:
        yield Text(form.what, style=inks.plain)
    for warning in state.warnings:
        yield Text(
            f"{glyphs.attention} {visible(warning.message)} {visible(warning.hint)}".rstrip(), style=inks.warning
        )
    if commands:
        yield command_text(commands, width, inks)
    if state.proof is not None:
        yield proof_text(state.proof, glyphs, inks)
    if state.planned is not None and state.finished is None:
        yield plan_text(state.planned, inks)


def written_text(state: ExportState, glyphs: Glyphs, inks: Inks) -> Text:
    """Size, time, place, and the proof in a line."""
    assert state.finished is not None
    size = file_size(sum(one.num_bytes for one in state.finished.files))
    text = Text.assemble(
        (f"{glyphs.done} ", inks.success),
        (f"{size} in {counted(len(state.finished.files), 'file')}, {duration(state.finished.seconds)}", inks.plain),
    )
    if state.proof is not None:
        sign, ink = (glyphs.done, inks.success) if state.proof.passed else (glyphs.failed, inks.error)
        text.append(f"\n{sign} ", style=ink)
        text.append(visible(state.proof.message), style=inks.plain)
    text.append("\n" + visible(state.finished.folder), style=inks.muted)
    return text


def progress_text(progress: ExportProgress, width: int, glyphs: Glyphs, inks: Inks) -> Text:
    share = _share(progress)
    text = Text.assemble((f"{glyphs.running} {progress.stage}", inks.train + BOLD))
    if share is not None:
        text.append("  " + bar(share, min(30, max(8, width - 30)), glyphs, has_track=True), style=inks.train)
        text.append(f" {share:4.0%}", style=inks.plain)
    if progress.detail:
        text.append("\n" + one_line(progress.detail, max(20, width)), style=inks.muted)
    return text


def proof_text(proof: ExportProof, glyphs: Glyphs, inks: Inks) -> Text:
    """Each claim with what was found."""
    text = Text("proof", style=inks.muted)
    for check in proof.checks:
        sign, ink = (glyphs.done, inks.success) if check.passed else (glyphs.failed, inks.error)
        text.append(f"\n{sign} ", style=ink)
        text.append(visible(check.claim), style=inks.plain)
        text.append(f": {visible(check.found)}", style=inks.muted)
    for measured in proof.measured:
        sign = glyphs.pointer if measured.is_chosen else " "
        text.append(f"\n{sign} merged into {measured.base}: loss {measured.loss:.4f}", style=inks.muted)
    return text


def command_text(commands: Sequence[ServeCommand], width: int, inks: Inks) -> Text:
    """A line each; a long one stands whole below its name, one of several lines is cut; `y` copies them whole."""
    text = Text("use it · y copies", style=inks.muted)
    for one in commands:
        text.append(f"\n{one.program:<13}", style=inks.you)
        room = max(10, width - 14)
        is_below = len(one.command) > room and "\n" not in one.command
        text.append(f"\n{visible(one.command)}" if is_below else one_line(one.command, room), style=inks.plain)
    return text


def plan_text(planned: ExportPlanned, inks: Inks) -> Text:
    """Folder, room, and the files with their sizes."""
    text = Text(visible(planned.folder), style=inks.plain)
    if planned.bytes_free is not None:
        room = f"needs {file_size(planned.bytes_needed)} of {file_size(planned.bytes_free)} free"
        text.append(f"\n{room}", style=inks.muted)
    for note in planned.notes:
        text.append(f"\n{visible(note)}", style=inks.muted)
    for file in planned.files[:MOST_FILES]:
        text.append(f"\n  {file_size(file.num_bytes):>8}  ", style=inks.muted)
        text.append(one_line(file.name, 60), style=inks.plain)
        text.append(f"  {visible(file.about)}" if file.about else "", style=inks.muted)
    if len(planned.files) > MOST_FILES:
        text.append(f"\n  … and {len(planned.files) - MOST_FILES} more", style=inks.muted)
    return text


def _share(progress: ExportProgress) -> float | None:
    return progress.done / progress.total if progress.total else None
