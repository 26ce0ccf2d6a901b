"""What the choice costs, how it compares with the data, and the readout of the station."""

from rich.text import Text

from tui_tuner.plan import MemoryEstimate
from tui_tuner.planning.capacity import Capacity, adapter_capacity
from tui_tuner.screens.look.glyphs import Glyphs
from tui_tuner.screens.look.inks import BOLD, Inks
from tui_tuner.screens.outlook import Outlook
from tui_tuner.screens.widgets.bars import bar
from tui_tuner.units import file_size, memory, short_count

LABEL_WIDTH = 16
FIGURE_WIDTH = 9


def readout(outlook: Outlook, delta: int, glyphs: Glyphs, inks: Inks) -> Text:
    """Parameters, share, the change just made, size on disk, memory."""
    adapter, plan = outlook.adapter, outlook.plan
    if adapter is None or plan is None:
        return Text("nothing is trained yet", style=inks.muted)
    text = Text(f"{short_count(adapter.num_trainable)} ", style=inks.train + BOLD, no_wrap=True)
    text.append(f"{adapter.trainable_percent:.2f} % ", style=inks.muted)
    if delta:
        sign, way = (glyphs.up, "+") if delta > 0 else (glyphs.down, "-")
        text.append(f"{sign} {way}{short_count(abs(delta))} ", style=inks.you + BOLD)
    kind = "model" if adapter.method == "full" else "adapter"
    text.append(f"· {kind} {file_size(adapter.adapter_bytes)} · memory ", style=inks.plain)
    return text.append_text(memory_words(plan.memory, 10, glyphs, inks))


def memory_words(estimate: MemoryEstimate, width: int, glyphs: Glyphs, inks: Inks) -> Text:
    """A bar of what is free, and "29.6 of 139 GiB"."""
    if estimate.available is None:
        return Text(memory(estimate.total), style=inks.plain)
    fits = estimate.total <= estimate.available
    share = estimate.total / estimate.available if estimate.available else 1.0
    style = inks.train if fits else inks.error
    text = Text(bar(share, width, glyphs, has_track=True), style=style)
    free = memory(estimate.available)
    total = memory(estimate.total)
    said = total.removesuffix(free[-4:]) if total[-4:] == free[-4:] else total
    text.append(f" {said} of {free} ", style=inks.plain)
    return text.append(glyphs.done if fits else f"{glyphs.failed} over", style=inks.success if fits else inks.error)


def cost_lines(estimate: MemoryEstimate, width: int, glyphs: Glyphs, inks: Inks) -> Text:
    """What this choice adds beside the frozen weights, one bar a part."""
    parts = (
        ("adapter weights", estimate.adapters),
        ("gradients", estimate.gradients),
        ("optimizer", estimate.optimizer),
        ("activations", estimate.activations),
    )
    most = max(size for _, size in parts) or 1
    lines = []
    for name, size in parts:
        line = Text(name.ljust(LABEL_WIDTH), style=inks.muted)
        line.append(
            bar(max(size / most, 0.01), max(4, width - LABEL_WIDTH - FIGURE_WIDTH - 1), glyphs), style=inks.train
        )
        line.append(f" {memory(size):>{FIGURE_WIDTH}}", style=inks.plain)
        lines.append(line)
    return Text("\n").join(lines)


def cost_words(estimate: MemoryEstimate) -> str:
    """Which part decides."""
    trained = estimate.adapters + estimate.gradients + estimate.optimizer
    if estimate.activations > trained:
        return "Activations dominate: shorter rows or fewer at once save more memory than a smaller adapter."
    return "What is trained dominates: a smaller rank or fewer modules save memory directly."


def capacity_words(outlook: Outlook) -> str:
    """Trainable parameters against trained tokens, in plain words; empty where neither is known."""
    if outlook.adapter is None or outlook.plan is None:
        return ""
    if outlook.is_data_assumed:
        return "Choose data (4) to see whether this is much or little for it."
    found = adapter_capacity(outlook.adapter, outlook.plan.data)
    return _verdict(found) if found is not None else ""


def _verdict(found: Capacity) -> str:
    tokens = f"{short_count(found.trained_tokens)} trained tokens"
    match found.verdict:
        case "full":
            return f"{tokens} hold more than this adapter can keep: raise the rank, or choose more modules."
        case "tight":
            return f"{tokens} nearly fill this adapter: a larger rank may learn more."
        case "ample":
            return f"{tokens}: this adapter has room for them, and not far too much."
        case "spare":
            times = found.num_trainable / found.trained_tokens
            return f"{tokens}: {times:,.0f} parameters for each. A smaller rank learns as much from so few."
