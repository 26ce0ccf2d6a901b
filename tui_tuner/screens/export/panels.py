"""The text around the list of kinds: settings, title and readout of the Export station. Pure."""

from collections.abc import Mapping

from textual.content import Content

from tui_tuner.exports import ExportForm, ExportKind, ExportState
from tui_tuner.screens.export.choices import Choices
from tui_tuner.screens.glyphs import Glyphs
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


def about(form: ExportForm) -> Content:
    """The kind under the cursor in plain words."""
    words = (Content.styled(form.title, "bold"), Content(form.what), Content(""), Content(f"For {form.used_by}."))
    return Content("\n").join(words)


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
    plans = [states[kind].planned for kind in choices.kinds if kind in states]
    known = [plan for plan in plans if plan is not None]
    parts = []
    if known:
        size = sum(file.num_bytes for plan in known if plan.export != ExportKind.HUB for file in plan.files)
        num_files = sum(len(plan.files) for plan in known)
        parts.append(f"will write {file_size(size)} in {counted(num_files, 'file')}")
        free = [plan.bytes_free for plan in known if plan.bytes_free is not None]
        parts += [f"{file_size(min(free))} free"] if free else []
    failed = [kind for kind in choices.kinds if kind in states and states[kind].failed is not None]
    if failed:
        parts.append(f"{glyphs.failed} {', '.join(sorted(failed))} cannot be written")
    if is_planning:
        parts.append("planning…")
    return shown_line(f"  {glyphs.dot}  ".join(parts) or "planning…")
