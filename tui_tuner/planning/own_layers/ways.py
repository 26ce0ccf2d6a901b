"""The ways in which layers can live through a micro-batch, from the fastest to the smallest, and how fast each is.

A layer keeps everything, computes its widest products again, or does that with its inputs waiting in host memory. The
last layers keep most: their backward pass comes first, and what they kept is gone when others compute again.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from tui_tuner.plan import LayerCounts, ModelFacts, Sends
from tui_tuner.planning.own_layers.counts import Recompute, layer_counts

OFFLOAD_COST = 1.16
"""Of a layer whose inputs wait on the host, for one that computes again: 4.1 ms beside 3.55 ms at 8B on an H200."""
BUSY_ELEMENTS = 2**25
"""Tokens times hidden size from which a GPU is busy: 8,192 tokens at 8B, 16,384 at 1B (docs/performance.md)."""
BUSY_TOKENS = (4_096, 16_384)
"""Bounds of that number of tokens."""
IDLE_SHARE = 1 / 16
"""Of the tokens that keep a GPU busy: a micro-batch takes as long as if it had so many more."""


@dataclass(frozen=True, slots=True)
class Way:
    """What layers keep."""

    recompute: Recompute
    layers: LayerCounts | None
    """None where the model computes its layers itself."""


def own_ways(
    asked: Recompute | Literal["auto"], num_layers: int, *, may_offload: bool, sends: Sends = "all"
) -> tuple[Way, ...]:
    """From the fastest to the smallest, as far as the recipe leaves it open.

    Computing again frees more memory for less time than the host does, so that layers wait there only when all others
    compute again. One layer keeps everything until all others wait: its backward pass follows at once.

    Args:
        sends: what layers send that offload.
    """
    ways = tuple(_chain(num_layers, sends))
    if asked == "auto":
        return ways if may_offload else tuple(one for one in ways if one.recompute != "offload")
    if asked == "selective":
        return tuple(one for one in ways if one.recompute == "selective") or ways[:1]
    return (ways[0],) if asked == "off" else tuple(one for one in ways if _is_all(one, asked))


def theirs(asked: Recompute | Literal["auto"]) -> tuple[Way, ...]:
    """Of layers that the model computes itself: all of them keep everything, or none."""
    off, layers = Way("off", None), Way("layers", None)
    return (off, layers) if asked == "auto" else (off,) if asked == "off" else (layers,)


def smaller(way: Way) -> Way | None:
    """The next one to try where memory ran out: half as many layers keep, then compute again; None behind the last."""
    counts = way.layers
    if counts is None:
        return Way("layers", None) if way.recompute == "off" else None
    if counts.keep > 1:
        keep = counts.keep // 2
        return way_of(_with(counts, keep=keep, recompute=counts.recompute + counts.keep - keep))
    if counts.keep == 0:
        return None if counts.sends == "input" else sending(way, "input")
    if counts.recompute > 0:
        again = counts.recompute // 2
        return way_of(_with(counts, recompute=again, offload=counts.offload + counts.recompute - again))
    return way_of(_with(counts, keep=0, recompute=1))


def sending(way: Way, sends: Sends) -> Way:
    """The same with layers that send this where they offload."""
    return way if way.layers is None else Way(way.recompute, _with(way.layers, sends=sends))


def way_of(counts: LayerCounts) -> Way:
    """Under the name that recipes have for it."""
    if counts.offload:
        return Way("offload", counts)
    if not counts.recompute:
        return Way("off", counts)
    return Way("selective" if counts.keep > 1 else "layers", counts)


def way_words(way: Way) -> str:
    """How many layers do what."""
    if way.layers is None:
        return "every layer keeps everything" if way.recompute == "off" else "every layer keeps its input only"
    counts = way.layers
    parts = (
        (counts.keep, "keep everything"),
        (counts.recompute, "compute again"),
        (counts.offload, "wait on the host"),
    )
    said = ", ".join(f"{count} {what}" for count, what in parts if count)
    return f"layers: {said}{', with their inputs only' if counts.offload and counts.sends == 'input' else ''}"


def busy_tokens(model: ModelFacts) -> int:
    """Tokens of a micro-batch above which a GPU is hardly faster."""
    least, most = BUSY_TOKENS
    return max(least, min(most, BUSY_ELEMENTS // model.hidden_size))


def relative_speed(model: ModelFacts, way: Way, tokens: int, length: int) -> float:
    """Tokens a second, of those that a GPU reaches that is always busy and computes nothing twice."""
    busy = tokens / (tokens + IDLE_SHARE * busy_tokens(model))
    return busy / (1.0 + _again(model, way, length))


def _chain(num_layers: int, sends: Sends) -> Iterator[Way]:
    for keep in range(num_layers, 0, -1):
        yield way_of(LayerCounts(keep=keep, recompute=num_layers - keep, offload=0))
    for offload in range(1, num_layers):
        yield way_of(LayerCounts(keep=1, recompute=num_layers - 1 - offload, offload=offload, sends=sends))
    yield way_of(layer_counts("offload", num_layers, sends))
    if sends != "input":
        yield way_of(layer_counts("offload", num_layers, "input"))


def _with(counts: LayerCounts, **changes: object) -> LayerCounts:
    return counts.model_copy(update=changes)


def _is_all(way: Way, asked: Recompute) -> bool:
    """Whether all layers but the last do what was asked; all of them where there is one only."""
    counts = way.layers
    assert counts is not None
    return counts == layer_counts(asked, counts.keep + counts.recompute + counts.offload, counts.sends)


def _again(model: ModelFacts, way: Way, length: int) -> float:
    """Work that is done twice, of all work without that: forward and the gradient of the input, weights frozen."""
    queries, keys = model.num_heads * model.head_dim, model.num_kv_heads * model.head_dim
    hidden, wide = model.hidden_size, model.intermediate_size
    products = hidden * (2 * queries + 2 * keys + 3 * wide)
    attention = queries * length
    whole = model.num_layers * (4 * products + 7 * attention) + 4 * model.vocab_size * hidden
    if way.layers is None:
        return 0.0 if way.recompute == "off" else model.num_layers * (2 * products + 2 * attention) / whole
    widest = 2 * hidden * (queries + 2 * keys + 2 * wide)
    offloaded = OFFLOAD_COST * widest + (2 * hidden * queries if way.layers.sends != "all" else 0)
    offloaded += 2 * attention if way.layers.sends == "input" else 0
    return (widest * way.layers.recompute + offloaded * way.layers.offload) / whole
