"""Expected peak memory as a staircase: each component starts where the one before it ended."""

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from tui_tuner import units
from tui_tuner.cli.views.blocks import LABEL_WIDTH, bar, block, columns, joined, mark
from tui_tuner.events import MemoryProbed
from tui_tuner.plan import MemoryEstimate

BAR_WIDTH = 40
COMPONENTS = ("weights", "adapters", "gradients", "optimizer", "activations", "loss", "reserve")


def memory_block(memory: MemoryEstimate, device: str) -> RenderableType:
    where = {"cuda": "the GPU", "cpu": "this machine"}[device]
    if memory.available is None:
        headline = joined(f"about {units.memory(memory.total)}", f"what is free on {where} could not be read")
    else:
        fits = memory.total <= memory.available
        verdict = Text.assemble(mark("good" if fits else "bad"), " fits" if fits else " does not fit")
        headline = joined(
            f"about {units.memory(memory.total)} of {units.memory(memory.available)} free on {where}", verdict
        )
    return block("Memory", headline, _staircase(memory))


def probe_words(probed: MemoryProbed) -> Text:
    """What the largest micro-batch took, beside what was expected."""
    budget = "" if probed.available is None else f"{units.memory(probed.available - probed.reserve)} may be taken"
    return joined(
        f"{units.memory(probed.measured)} at the peak of {units.count(probed.tokens)} tokens",
        f"{units.memory(probed.expected)} expected ({probed.measured / max(1, probed.expected) - 1:+.1%})",
        budget,
        probed.layers if probed.fit is None else f"{probed.layers}; chosen anew",
    )


def _staircase(memory: MemoryEstimate) -> Table:
    table = columns("", "", "", right=(1,))
    table.columns[0].min_width = LABEL_WIDTH
    scale = BAR_WIDTH / max(memory.total, memory.available or 0, 1)
    start = 0
    for name in COMPONENTS:
        size = int(getattr(memory, name))
        stair = Text.assemble(" " * int(start * scale), bar(size * scale / BAR_WIDTH, BAR_WIDTH))
        table.add_row(Text(name, style="label"), units.memory(size), stair)
        start += size
    filled = bar(memory.total * scale / BAR_WIDTH, BAR_WIDTH)
    room = Text("░" * (int((memory.available or 0) * scale) - len(filled)), style="quiet")
    table.add_row(Text("all", style="strong"), units.memory(memory.total), Text.assemble(filled, room))
    if memory.host:
        free = "" if memory.host_available is None else f" {units.memory(memory.host_available)} of it are free"
        words = Text(f"memory of the host, in which layers wait;{free}".rstrip(";"), style="quiet")
        table.add_row(Text("pinned", style="label"), units.memory(memory.host), words)
    return table
