"""Lines of the module tree, as text."""

from rich.text import Text

from tui_tuner.safe_text import one_line
from tui_tuner.screens.look.glyphs import Glyphs
from tui_tuner.screens.look.inks import BOLD, Inks
from tui_tuner.screens.targets.module_tree import Row, State
from tui_tuner.screens.widgets.bars import bar
from tui_tuner.units import short_count

LABEL_WIDTH = 27
SHAPE_WIDTH = 15
COUNT_WIDTH = 10
SHARE_WIDTH = 5
IN_FULL = " full"


def row_line(row: Row, num_trainable: int, is_folded: bool, width: int, glyphs: Glyphs, inks: Inks) -> Text:
    """One line: sign, name, shape, parameters, and its share of what is trained."""
    is_chosen = row.state != "off"
    line = Text(no_wrap=True)
    fold = " " if row.kind != "group" else glyphs.closed if is_folded else glyphs.opened
    line.append("  " * row.depth + f"{fold} ", style=inks.muted)
    line.append(f"{_sign(row.state, glyphs)} ", style=inks.train if is_chosen else inks.muted)
    is_head = row.kind in ("group", "layers")
    style = inks.plain + BOLD if is_head and is_chosen else inks.plain if is_chosen else inks.muted
    room = LABEL_WIDTH - line.cell_len
    line.append(f"{one_line(row.label, max(6, room)):<{room}} ", style=style)
    words = row.note or row.shape.replace(">", glyphs.arrow)
    line.append(f"{one_line(words, SHAPE_WIDTH):<{SHAPE_WIDTH}}", style=inks.muted)
    line.append_text(_figures(row, num_trainable, width - line.cell_len, glyphs, inks))
    return line


def _figures(row: Row, num_trainable: int, room: int, glyphs: Glyphs, inks: Inks) -> Text:
    if row.state == "off":
        more = f"+{short_count(row.num_more)}" if row.num_more else ""
        return Text(f"{more:>{COUNT_WIDTH}}", style=inks.muted)
    share = row.num_trained / num_trainable if num_trainable else 0.0
    text = Text(f"{short_count(row.num_trained):>{COUNT_WIDTH}} ", style=inks.train + BOLD)
    beside = COUNT_WIDTH + SHARE_WIDTH + (len(IN_FULL) if row.state == "in full" else 0)
    bar_width = max(4, min(24, room - beside - 3))
    text.append(bar(share, bar_width, glyphs), style=inks.train)
    text.append(f"{share:>{SHARE_WIDTH}.0%}", style=inks.muted)
    if row.state == "in full":
        text.append(IN_FULL, style=inks.you)
    return text


def _sign(state: State, glyphs: Glyphs) -> str:
    signs = {"on": glyphs.marked, "off": glyphs.unmarked, "partly": glyphs.partly, "in full": glyphs.stopped}
    return signs[state]
