"""Causal attention in Triton for what libraries lack: capped scores with sliding windows, documents and shared heads.

The schedule is FlashAttention-2's (arXiv 2307.08691): forward keeps a running maximum and sum, backward recomputes the
probabilities from the saved logarithm of the sum, once by blocks of keys for dk and dv and once by blocks of queries
for dq. No atomics: two runs give equal bits. Documents come as bounds for each token, so the grid depends on T alone.

Shapes: q, out [T, Hq, D], k, v [T, Hkv, D] with any strides but 1 in the last dimension; lse [Hq, T] in units of log 2.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from tui_tuner.kernels.documents import Documents
from tui_tuner.kernels.launch import on_device_of, rounded
from tui_tuner.kernels.softcap import tanh

LOG2_E = tl.constexpr(math.log2(math.e))
Heads = tuple[Tensor, Tensor, Tensor]
"""q, k and v."""


class Tile(NamedTuple):
    """What a program works on at a time. Forward and dq hold queries and stream keys; dk and dv the other way round."""

    held: int
    streamed: int
    warps: int
    stages: int


TILES = (Tile(128, 64, 8, 2), Tile(64, 64, 8, 2), Tile(64, 32, 8, 2), Tile(32, 32, 4, 1), Tile(16, 16, 4, 1))
"""Largest first."""
INTERPRETER_TILE = Tile(32, 16, 4, 1)
DELTA_ROWS = 64
USABLE_SHARED_MEMORY = 0.95
"""The rest is for barriers."""
BACKWARD_REGISTER_BYTES = 150_000
"""Two accumulators and two tiles of scores; beyond it the compiler spills (seen in its report for Hopper)."""


@dataclass(frozen=True, slots=True)
class Scores:
    """What happens to q @ k before the softmax."""

    scale: float
    window: int | None = None
    """Each token sees this many tokens, itself included; None for all before it."""
    softcap: float | None = None
    """Scores become softcap * tanh(scores / softcap) (Gemma 2)."""


def forward(qkv: Heads, documents: Documents, scores: Scores, tile: Tile | None = None) -> tuple[Tensor, Tensor]:
    """(out [T, Hq, D] contiguous, lse)."""
    q, k, v = qkv
    tokens, heads, width = q.shape
    out = torch.empty(q.shape, dtype=q.dtype, device=q.device)
    lse = torch.empty(heads, tokens, dtype=torch.float32, device=q.device)
    tile = tile or tile_for(width, q.element_size(), q.device, backward=False)
    with on_device_of(q):
        _forward[(triton.cdiv(tokens, tile.held), heads)](
            q, *_strides(q), k, *_strides(k), v, *_strides(v), out, *_strides(out), lse, documents.first,
            tokens, scores.scale, scores.softcap or 1.0, scores.window or 0, width,
            **_constants(qkv, scores), **_holding_queries(tile),
        )  # fmt: skip
    return out, lse


def backward(
    grad: Tensor, qkv: Heads, saved: tuple[Tensor, Tensor], documents: Documents, scores: Scores,
    tiles: tuple[Tile, Tile] | None = None,
) -> Heads:  # fmt: skip
    """(dq, dk, dv), contiguous. saved: what forward returned. tiles: for dq, and for dk and dv."""
    q, k, v = qkv
    tokens, heads, width = q.shape
    out, lse = saved
    dq, dk, dv = (torch.empty(x.shape, dtype=x.dtype, device=x.device) for x in qkv)
    delta = torch.empty(heads, tokens, dtype=torch.float32, device=q.device)
    of_queries, of_keys = tiles or (tile_for(width, q.element_size(), q.device, backward=True),) * 2
    shared = (
        q, *_strides(q), k, *_strides(k), v, *_strides(v), grad, *_strides(grad), lse, delta, documents.first,
    )  # fmt: skip
    sizes = (tokens, scores.scale, scores.softcap or 1.0, scores.window or 0, width)
    constants = _constants(qkv, scores)
    with on_device_of(q):
        _delta[(triton.cdiv(tokens, DELTA_ROWS), heads)](
            out, *_strides(out), grad, *_strides(grad), delta, tokens, width,
            QUERIES=DELTA_ROWS, WIDTH=constants["WIDTH"], num_warps=4,
        )  # fmt: skip
        _backward_keys[(triton.cdiv(tokens, of_keys.held), k.shape[1])](
            *shared, dk, *_strides(dk), dv, *_strides(dv), documents.end, *sizes, **constants, **_holding_keys(of_keys)
        )
        _backward_queries[(triton.cdiv(tokens, of_queries.held), heads)](
            *shared, dq, *_strides(dq), *sizes, **constants, **_holding_queries(of_queries)
        )
    return dq, dk, dv


def _constants(qkv: Heads, scores: Scores) -> dict[str, object]:
    q, k, _ = qkv
    return {
        "GROUP": q.shape[1] // k.shape[1],
        "CAPPED": scores.softcap is not None,
        "WINDOWED": scores.window is not None,
        "WIDTH": max(16, triton.next_power_of_2(q.shape[2])),
        # float32 as three tensor-core products of its halves: as exact as plain ones, and they fit into registers.
        "PRECISION": "tf32x3" if q.dtype == torch.float32 else "tf32",
    }


def _holding_queries(tile: Tile) -> dict[str, int]:
    return {"QUERIES": tile.held, "KEYS": tile.streamed, "num_warps": tile.warps, "num_stages": tile.stages}


def _holding_keys(tile: Tile) -> dict[str, int]:
    return {"QUERIES": tile.streamed, "KEYS": tile.held, "num_warps": tile.warps, "num_stages": tile.stages}


def _strides(x: Tensor) -> tuple[int, int]:
    """Of a token and of a head."""
    return x.stride(0), x.stride(1)


@lru_cache
def tile_for(width: int, element_size: int, device: torch.device, *, backward: bool) -> Tile:
    """The largest tile whose operands fit into the shared memory of the device, and backward's sums into registers."""
    if device.type == "cpu":
        return INTERPRETER_TILE
    properties = triton.runtime.driver.active.utils.get_device_properties(device.index)
    limit = USABLE_SHARED_MEMORY * properties["max_shared_mem"]
    return next((tile for tile in TILES if _fits(tile, width, element_size, limit, backward=backward)), TILES[-1])


def _fits(tile: Tile, width: int, element_size: int, limit: float, *, backward: bool) -> bool:
    """Forward holds one operand and streams two; backward holds two, streams two, and hands on a tile of scores."""
    held, width = (2 if backward else 1) * tile.held, triton.next_power_of_2(width)
    # float32 is split into two halves, both of which are held.
    element_size = element_size if element_size == 2 else 2 * element_size
    operands = (held + 2 * tile.stages * tile.streamed) * width * element_size
    if not backward:
        return operands <= limit
    fits_registers = 4 * held * (width + tile.streamed) <= BACKWARD_REGISTER_BYTES
    return fits_registers and operands + 2 * tile.held * tile.streamed * element_size <= limit


@triton.jit(do_not_specialize=["tokens", "window"])
def _forward(  # type: ignore[no-untyped-def]
    q, q_token, q_head, k, k_token, k_head, v, v_token, v_head, out, out_token, out_head, lse, first,
    tokens, scale, softcap, window, width,
    GROUP: tl.constexpr, CAPPED: tl.constexpr, WINDOWED: tl.constexpr, WIDTH: tl.constexpr, PRECISION: tl.constexpr,
    QUERIES: tl.constexpr, KEYS: tl.constexpr,
):  # fmt: skip
    # The last block has the most keys before it: it starts first.
    begin = (tl.num_programs(0) - 1 - tl.program_id(0)) * QUERIES
    head = tl.program_id(1).to(tl.int64)
    query = begin + tl.arange(0, QUERIES)
    q_tile = _load(q + head * q_head, q_token, query, tokens, width, WIDTH)
    earliest = _earliest(first, query, tokens, window, WINDOWED)
    maximum = tl.full((QUERIES,), float("-inf"), tl.float32)
    total = tl.zeros((QUERIES,), tl.float32)
    result = tl.zeros((QUERIES, WIDTH), tl.float32)
    for at in range(
        _first_key(first, begin, window, WINDOWED) // KEYS * KEYS, tl.minimum(begin + QUERIES, tokens), KEYS
    ):
        key = at + tl.arange(0, KEYS)
        k_tile = _load(k + head // GROUP * k_head, k_token, key, tokens, width, WIDTH)
        score = _score(q_tile, k_tile, scale, softcap, CAPPED, PRECISION) * LOG2_E
        score = tl.where(_visible(query, key, earliest), score, float("-inf"))
        new_maximum = tl.maximum(maximum, tl.max(score, 1))
        # A row that has seen no key yet has no maximum to subtract.
        reference = tl.where(new_maximum == float("-inf"), 0.0, new_maximum)
        weight = tl.exp2(score - reference[:, None])
        shrink = tl.exp2(maximum - reference)
        total = total * shrink + tl.sum(weight, 1)
        v_tile = _load(v + head // GROUP * v_head, v_token, key, tokens, width, WIDTH)
        product = tl.dot(rounded(weight, v_tile.dtype), v_tile, input_precision=PRECISION)
        result = result * shrink[:, None] + product
        maximum = new_maximum
    total = tl.where(query < tokens, total, 1.0)
    _store(out + head * out_head, out_token, query, tokens, width, result / total[:, None], WIDTH)
    tl.store(lse + head * tokens + query, maximum + tl.log2(total), query < tokens)


@triton.jit(do_not_specialize=["tokens"])
def _delta(  # type: ignore[no-untyped-def]
    out, out_token, out_head, grad, grad_token, grad_head, delta, tokens, width,
    QUERIES: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    head = tl.program_id(1).to(tl.int64)
    query = tl.program_id(0) * QUERIES + tl.arange(0, QUERIES)
    out_tile = _load(out + head * out_head, out_token, query, tokens, width, WIDTH).to(tl.float32)
    grad_tile = _load(grad + head * grad_head, grad_token, query, tokens, width, WIDTH).to(tl.float32)
    tl.store(delta + head * tokens + query, tl.sum(out_tile * grad_tile, 1), query < tokens)


@triton.jit(do_not_specialize=["tokens", "window"])
def _backward_keys(  # type: ignore[no-untyped-def]
    q, q_token, q_head, k, k_token, k_head, v, v_token, v_head, grad, grad_token, grad_head, lse, delta, first,
    dk, dk_token, dk_head, dv, dv_token, dv_head, end, tokens, scale, softcap, window, width,
    GROUP: tl.constexpr, CAPPED: tl.constexpr, WINDOWED: tl.constexpr, WIDTH: tl.constexpr, PRECISION: tl.constexpr,
    QUERIES: tl.constexpr, KEYS: tl.constexpr,
):  # fmt: skip
    begin = tl.program_id(0) * KEYS
    kv_head = tl.program_id(1).to(tl.int64)
    key = begin + tl.arange(0, KEYS)
    k_tile = _load(k + kv_head * k_head, k_token, key, tokens, width, WIDTH)
    v_tile = _load(v + kv_head * v_head, v_token, key, tokens, width, WIDTH)
    stop = tl.load(end + tl.minimum(begin + KEYS, tokens) - 1)
    if WINDOWED:
        stop = tl.minimum(stop, begin + KEYS - 1 + window)
    dk_tile = tl.zeros((KEYS, WIDTH), tl.float32)
    dv_tile = tl.zeros((KEYS, WIDTH), tl.float32)
    for head in range(kv_head * GROUP, (kv_head + 1) * GROUP):
        for at in range(begin // QUERIES * QUERIES, stop, QUERIES):
            query = at + tl.arange(0, QUERIES)
            q_tile = _load(q + head * q_head, q_token, query, tokens, width, WIDTH)
            grad_tile = _load(grad + head * grad_head, grad_token, query, tokens, width, WIDTH)
            earliest = _earliest(first, query, tokens, window, WINDOWED)
            weight, dscore = _weight_and_gradient(
                q_tile, k_tile, v_tile, grad_tile, query, key, earliest, lse + head * tokens, delta + head * tokens,
                tokens, scale, softcap, CAPPED, PRECISION,
            )  # fmt: skip
            dv_tile += tl.dot(tl.trans(rounded(weight, q_tile.dtype)), grad_tile, input_precision=PRECISION)
            dk_tile += tl.dot(tl.trans(rounded(dscore, q_tile.dtype)), q_tile, input_precision=PRECISION)
    _store(dk + kv_head * dk_head, dk_token, key, tokens, width, dk_tile * scale, WIDTH)
    _store(dv + kv_head * dv_head, dv_token, key, tokens, width, dv_tile, WIDTH)


@triton.jit(do_not_specialize=["tokens", "window"])
def _backward_queries(  # type: ignore[no-untyped-def]
    q, q_token, q_head, k, k_token, k_head, v, v_token, v_head, grad, grad_token, grad_head, lse, delta, first,
    dq, dq_token, dq_head, tokens, scale, softcap, window, width,
    GROUP: tl.constexpr, CAPPED: tl.constexpr, WINDOWED: tl.constexpr, WIDTH: tl.constexpr, PRECISION: tl.constexpr,
    QUERIES: tl.constexpr, KEYS: tl.constexpr,
):  # fmt: skip
    begin = (tl.num_programs(0) - 1 - tl.program_id(0)) * QUERIES
    head = tl.program_id(1).to(tl.int64)
    query = begin + tl.arange(0, QUERIES)
    q_tile = _load(q + head * q_head, q_token, query, tokens, width, WIDTH)
    grad_tile = _load(grad + head * grad_head, grad_token, query, tokens, width, WIDTH)
    earliest = _earliest(first, query, tokens, window, WINDOWED)
    dq_tile = tl.zeros((QUERIES, WIDTH), tl.float32)
    for at in range(
        _first_key(first, begin, window, WINDOWED) // KEYS * KEYS, tl.minimum(begin + QUERIES, tokens), KEYS
    ):
        key = at + tl.arange(0, KEYS)
        k_tile = _load(k + head // GROUP * k_head, k_token, key, tokens, width, WIDTH)
        v_tile = _load(v + head // GROUP * v_head, v_token, key, tokens, width, WIDTH)
        _, dscore = _weight_and_gradient(
            q_tile, k_tile, v_tile, grad_tile, query, key, earliest, lse + head * tokens, delta + head * tokens,
            tokens, scale, softcap, CAPPED, PRECISION,
        )  # fmt: skip
        dq_tile += tl.dot(rounded(dscore, k_tile.dtype), k_tile, input_precision=PRECISION)
    _store(dq + head * dq_head, dq_token, query, tokens, width, dq_tile * scale, WIDTH)


@triton.jit
def _weight_and_gradient(  # type: ignore[no-untyped-def]
    q_tile, k_tile, v_tile, grad_tile, query, key, earliest, lse, delta, tokens, scale, softcap,
    CAPPED: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Probabilities, and the gradient of the scores before scale and with the cap's slope; [QUERIES, KEYS] float32."""
    score = _score(q_tile, k_tile, scale, softcap, CAPPED, PRECISION)
    total = tl.load(lse + query, query < tokens, 0.0)
    weight = tl.where(_visible(query, key, earliest), tl.exp2(score * LOG2_E - total[:, None]), 0.0)
    dweight = tl.dot(grad_tile, tl.trans(v_tile), input_precision=PRECISION)
    dscore = weight * (dweight - tl.load(delta + query, query < tokens, 0.0)[:, None])
    if CAPPED:
        capped = score / softcap
        dscore *= 1.0 - capped * capped
    return weight, dscore


@triton.jit
def _score(q_tile, k_tile, scale, softcap, CAPPED: tl.constexpr, PRECISION: tl.constexpr):  # type: ignore[no-untyped-def]
    score = tl.dot(q_tile, tl.trans(k_tile), input_precision=PRECISION) * scale
    if CAPPED:
        if q_tile.dtype == tl.float32:
            score = softcap * tanh(score / softcap)
        else:
            # The same up to 3e-6, far below what 16 bits keep of the weights, in fewer operations.
            score = softcap * (2.0 * tl.sigmoid(2.0 * score / softcap) - 1.0)
    return score


@triton.jit
def _visible(query, key, earliest):  # type: ignore[no-untyped-def]
    return (key[None, :] <= query[:, None]) & (key[None, :] >= earliest[:, None])


@triton.jit
def _earliest(first, query, tokens, window, WINDOWED: tl.constexpr):  # type: ignore[no-untyped-def]
    """The first key that each query sees; none at all for queries past the end."""
    earliest = tl.load(first + query, query < tokens, tokens)
    if WINDOWED:
        earliest = tl.maximum(earliest, query - window + 1)
    return tl.where(query < tokens, earliest, query + 1)


@triton.jit
def _first_key(first, query, window, WINDOWED: tl.constexpr):  # type: ignore[no-untyped-def]
    key = tl.load(first + query)
    if WINDOWED:
        key = tl.maximum(key, query - window + 1)
    return key


@triton.jit
def _load(base, stride, row, rows, width, WIDTH: tl.constexpr):  # type: ignore[no-untyped-def]
    column = tl.arange(0, WIDTH)[None, :]
    return tl.load(base + row.to(tl.int64)[:, None] * stride + column, (row < rows)[:, None] & (column < width), 0.0)


@triton.jit
def _store(base, stride, row, rows, width, value, WIDTH: tl.constexpr):  # type: ignore[no-untyped-def]
    column = tl.arange(0, WIDTH)[None, :]
    place = base + row.to(tl.int64)[:, None] * stride + column
    tl.store(place, rounded(value, base.dtype.element_ty), (row < rows)[:, None] & (column < width))
