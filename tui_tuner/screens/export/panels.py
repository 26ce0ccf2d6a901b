"""The text around the list of kinds: settings, title and readout of the Export station. Pure."""

from collections.abc import Mapping

from textual.content import Content

from tui_tuner.exports import EXPORT_FORMS, ExportForm, ExportKind, ExportPlanned, ExportState
from tui_tuner.safe_text import visible
from tui_tuner.screens.export.choices import Choices
from tui_tuner.screens.look.glyphs import Glyphs
from tui_tuner.screens.shown import shown_line
from tui_tuner.units import counted, file_size

PURPOSES = {"auto": "the lower loss wins", "16bit": "the published base", "dequantised": "as it was trained"}


def settings_lines(choices: Choices) -> Content:
    """Source, place, and what the kinds leave open; the keys that change each stand before it."""
    where = choices.out or "exports/, beside the adapter"
    hub = choices.repository or "no repository yet"
    visibility = "private" if choices.is_private else "public"
    rows = (
        ("o", "to", where),
        ("t b", "form", f"GGUF {choices.quantization}; merge base {choices.base}: {PURPOSES[choices.base]}"),
        ("h", "hub", f"{hub}, {visibility}"),
    )
    lines = [
        Content.styled(f"{key:<4}", "$you") + Content.styled(f"{name:<5}", "$muted") + shown_line(value, "$foreground")
        for key, name, value in rows
    ]
    return Content("\n").join(lines)


def about(form: ExportForm, choices: Choices, states: Mapping[ExportKind, ExportState], glyphs: Glyphs) -> Content:
    """The kind under the cursor in plain words; then what Enter would write with the present choices, and where."""
    lines = [Content.styled(form.title, "bold"), Content(form.what), Content(""), Content(f"For {form.used_by}.")]
    chosen = [one for one in EXPORT_FORMS if one.kind in choices.kinds]
    if choices.result is None or not chosen:
        return Content("\n").join(lines)
    lines += [Content(""), Content.styled("e writes", "bold")]
    for one in chosen:
        planned = states[one.kind].planned if one.kind in states else None
        lines.append(Content.styled(one.title, "$foreground") + Content(f"  {_size_words(planned)}"))
        if planned is not None and planned.folder:
            lines.append(Content(f"{glyphs.arrow} ") + shown_line(planned.folder))
    room = _free(states, choices)
    lines += [Content(""), Content(f"{file_size(room)} are free on that disk.")] if room is not None else []
    lines.append(Content("Then every file is read back and compared with the live adapter."))
    return Content("\n").join(lines)


def kind_help(form: ExportForm, state: ExportState, choices: Choices) -> str:
    """Markdown: the kind under the cursor, with the sizes of this adapter."""
    words = [f"## {form.title}", form.what, f"For {_plain(form.used_by)}."]
    if choices.result is not None:
        words.append(
            f"Of **{_plain(choices.result.title)}**, trained on {_plain(choices.result.base_name or 'no base')}."
        )
    planned = state.planned
    if planned is not None:
        free = f" of {file_size(planned.bytes_free)} that are free" if planned.bytes_free is not None else ""
        words.append(f"{_size_words(planned)}; it needs {file_size(planned.bytes_needed)}{free}.")
        words += [f"* {_plain(note)}" for note in planned.notes]
    if state.failed is not None:
        words.append(f"**It cannot be written**: {_plain(state.failed.message)} {_plain(state.failed.hint)}")
    if state.proof is not None:
        words.append(f"**Proof**: {_plain(state.proof.message)}")
        words += [f"* {_plain(check.claim)}: {_plain(check.found)}" for check in state.proof.checks]
    return "\n\n".join(words)


def readout(
    choices: Choices,
    states: Mapping[ExportKind, ExportState],
    glyphs: Glyphs,
    *,
    is_planning: bool,
    is_running: bool,
) -> Content:
    """What will be written, or how far it is."""
    if is_running:
        return shown_line(f"{glyphs.running} exporting; it goes on when you leave  {glyphs.dot}  x cancels")
    if choices.obstacle:
        return shown_line(choices.obstacle)
    if done := _written_words(choices, states, glyphs):
        return shown_line(done)
    plans = [states[kind].planned for kind in choices.kinds if kind in states]
    known = [plan for plan in plans if plan is not None]
    parts = []
    if known:
        size = sum(file.num_bytes for plan in known if plan.export != ExportKind.HUB for file in plan.files)
        num_files = sum(len(plan.files) for plan in known)
        parts.append(f"will write {file_size(size)} in {counted(num_files, 'file')}")
        room = _free(states, choices)
        parts += [f"{file_size(room)} free"] if room is not None else []
    failed = [kind for kind in choices.kinds if kind in states and states[kind].failed is not None]
    if failed:
        parts.append(f"{glyphs.failed} {', '.join(sorted(failed))} cannot be written")
    if is_planning:
        parts.append("planning…")
    return shown_line(f"  {glyphs.dot}  ".join(parts) or "planning…")


def _written_words(choices: Choices, states: Mapping[ExportKind, ExportState], glyphs: Glyphs) -> str:
    """Where all that is chosen was written: that, and what to do with it."""
    finished = [states[kind].finished for kind in choices.kinds if kind in states]
    done = [one for one in finished if one is not None]
    if len(done) < len(choices.kinds):
        return ""
    size = file_size(sum(file.num_bytes for one in done for file in one.files))
    number = counted(sum(len(one.files) for one in done), "file")
    return f"{glyphs.done} written: {size} in {number}  {glyphs.dot}  y copies a command that uses it"


def _free(states: Mapping[ExportKind, ExportState], choices: Choices) -> int | None:
    plans = [states[kind].planned for kind in choices.kinds if kind in states]
    return min((one.bytes_free for one in plans if one is not None and one.bytes_free is not None), default=None)


def _size_words(planned: ExportPlanned | None) -> str:
    if planned is None:
        return "planning…"
    return f"{file_size(sum(one.num_bytes for one in planned.files))} in {counted(len(planned.files), 'file')}"


def _plain(text: str) -> str:
    """Text from outside without what Markdown would read."""
    return visible(text).translate({ord(sign): f"\\{sign}" for sign in "\\`*_[]<>#|"})
