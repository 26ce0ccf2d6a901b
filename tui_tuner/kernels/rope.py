"""Rotary position embedding of queries and keys in one launch, in place or from one place to another.

The gradient is the rotation backwards, so nothing is saved but positions and tables. Shapes: q [T, Hq, D], k and v
[T, Hkv, D] with any strides but 1 in the last dimension, such as the parts of one projection's output.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from tui_tuner.kernels.checking import Check, check_against, timed
from tui_tuner.kernels.launch import on_device_of, rounded, uses_kernel, wide
from tui_tuner.kernels.rope_tables import Tables, frequencies, tables

PAIRS = 1024
"""Rotated pairs that a program holds at a time."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """By which angle each token turns, and which dimensions turn together."""

    tables: Tables
    positions: Tensor
    """[T] int32 or int64: the row of the tables for each token; documents in a pack each start at 0."""
    interleaved: bool = False
    """Pairs are (0, 1), (2, 3), ... (Cohere) and not (0, R/2), (1, R/2 + 1), ... (everyone else)."""


@dataclass(frozen=True, slots=True)
class Heads:
    """What is turned; the same tensors for input and output turn in place."""

    q: Tensor
    k: Tensor
    v: Tensor | None = None
    """Copied from input to output where both have it, so that gradients gather in one buffer in the same launch."""


def rope(q: Tensor, k: Tensor, rotation: Rotation) -> tuple[Tensor, Tensor]:
    """New turned queries and keys, with gradients."""
    turned: tuple[Tensor, Tensor] = _Rope.apply(q, k, rotation)
    return turned


def forward(source: Heads, rotation: Rotation, into: Heads) -> None:
    """Turns queries and keys. Kernel or reference, by `uses_kernel`."""
    (turn_kernel if uses_kernel(source.q) else turn_reference)(source, rotation, into, backwards=False)


def backward(source: Heads, rotation: Rotation, into: Heads) -> None:
    """Turns gradients back."""
    (turn_kernel if uses_kernel(source.q) else turn_reference)(source, rotation, into, backwards=True)


def turn_reference(source: Heads, rotation: Rotation, into: Heads, *, backwards: bool) -> None:
    cos, sin = (table[rotation.positions.long()].unsqueeze(1) for table in (rotation.tables.cos, rotation.tables.sin))
    for x, target in ((source.q, into.q), (source.k, into.k)):
        target.copy_(_turned(x, cos, -sin if backwards else sin, rotation.interleaved))
    if source.v is not None and into.v is not None:
        into.v.copy_(source.v)


def _turned(x: Tensor, cos: Tensor, sin: Tensor, interleaved: bool) -> Tensor:
    width = 2 * cos.shape[-1]
    rotary, rest = wide(x[..., :width]), x[..., width:]
    pairs = rotary.unflatten(-1, (-1, 2) if interleaved else (2, -1))
    first, second = pairs.unbind(-1 if interleaved else -2)
    turned = torch.stack((first * cos - second * sin, second * cos + first * sin), -1 if interleaved else -2)
    return torch.cat((turned.flatten(-2).to(x.dtype), rest), -1)


def turn_kernel(source: Heads, rotation: Rotation, into: Heads, *, backwards: bool) -> None:
    tokens, q_heads, width = source.q.shape
    half = rotation.tables.cos.shape[1]
    block = triton.next_power_of_2(half)
    in_place = source.q.data_ptr() == into.q.data_ptr() and source.k.data_ptr() == into.k.data_ptr()
    values = source.v if source.v is not None and into.v is not None else None
    with on_device_of(source.q):
        _turn[(tokens,)](
            source.q, *_strides(source.q), source.k, *_strides(source.k), values, *_strides(values),
            into.q, *_strides(into.q), into.k, *_strides(into.k), into.v, *_strides(into.v),
            rotation.tables.cos, rotation.tables.sin, rotation.positions, half, width, q_heads, source.k.shape[1],
            BACKWARDS=backwards, INTERLEAVED=rotation.interleaved, VALUES=values is not None,
            REST=0 if in_place or width == 2 * half else triton.next_power_of_2(width - 2 * half),
            HEADS=max(1, PAIRS // block), HALF=block, WIDTH=triton.next_power_of_2(width),
            num_warps=4, enable_fp_fusion=False,
        )  # fmt: skip


def _strides(x: Tensor | None) -> tuple[int, int]:
    """Of a token and of a head."""
    return (0, 0) if x is None else (x.stride(0), x.stride(1))


@triton.jit
def _turn(  # type: ignore[no-untyped-def]
    q, q_token, q_head, k, k_token, k_head, v, v_token, v_head,
    q_to, q_to_token, q_to_head, k_to, k_to_token, k_to_head, v_to, v_to_token, v_to_head,
    cosines, sines, positions, half, width, q_heads, k_heads,
    BACKWARDS: tl.constexpr, INTERLEAVED: tl.constexpr, VALUES: tl.constexpr, REST: tl.constexpr,
    HEADS: tl.constexpr, HALF: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    token = tl.program_id(0).to(tl.int64)
    pair = tl.arange(0, HALF)
    place = tl.load(positions + token).to(tl.int64) * half + pair
    cos = tl.load(cosines + place, pair < half, 0.0).to(tl.float32)[None, :]
    sin = tl.load(sines + place, pair < half, 0.0).to(tl.float32)[None, :]
    sin = -sin if BACKWARDS else sin
    for head in range(0, q_heads, HEADS):
        _turn_heads(
            q + token * q_token, q_head, q_to + token * q_to_token, q_to_head, cos, sin, head, q_heads, half, width,
            INTERLEAVED, REST, HEADS, HALF,
        )  # fmt: skip
    for head in range(0, k_heads, HEADS):
        _turn_heads(
            k + token * k_token, k_head, k_to + token * k_to_token, k_to_head, cos, sin, head, k_heads, half, width,
            INTERLEAVED, REST, HEADS, HALF,
        )  # fmt: skip
    if VALUES:
        for first in range(0, k_heads, HEADS):
            copied = first + tl.arange(0, HEADS)[:, None]
            column = tl.arange(0, WIDTH)[None, :]
            inside = (copied < k_heads) & (column < width)
            value = tl.load(v + token * v_token + copied * v_head + column, inside)
            tl.store(v_to + token * v_to_token + copied * v_to_head + column, value, inside)


@triton.jit
def _turn_heads(  # type: ignore[no-untyped-def]
    source, source_head, target, target_head, cos, sin, first_head, heads, half, width,
    INTERLEAVED: tl.constexpr, REST: tl.constexpr, HEADS: tl.constexpr, HALF: tl.constexpr,
):  # fmt: skip
    head = first_head + tl.arange(0, HEADS)[:, None]
    pair = tl.arange(0, HALF)[None, :]
    inside = (head < heads) & (pair < half)
    dtype: tl.constexpr = target.dtype.element_ty
    if INTERLEAVED:
        # Neighbours are loaded and stored together and parted in registers: 16 bytes an access, not 2.
        column = tl.arange(0, 2 * HALF)[None, :]
        together = (head < heads) & (column < 2 * half)
        both = tl.load(source + head * source_head + column, together, 0.0).to(tl.float32)
        x, y = tl.split(tl.reshape(both, (HEADS, HALF, 2)))
        turned = tl.interleave(x * cos - y * sin, y * cos + x * sin)
        tl.store(target + head * target_head + column, rounded(turned, dtype), together)
    else:
        x = tl.load(source + head * source_head + pair, inside, 0.0).to(tl.float32)
        y = tl.load(source + head * source_head + half + pair, inside, 0.0).to(tl.float32)
        tl.store(target + head * target_head + pair, rounded(x * cos - y * sin, dtype), inside)
        tl.store(target + head * target_head + half + pair, rounded(y * cos + x * sin, dtype), inside)
    if REST > 0:
        rest = 2 * half + tl.arange(0, REST)[None, :]
        kept = (head < heads) & (rest < width)
        tl.store(target + head * target_head + rest, tl.load(source + head * source_head + rest, kept), kept)


class _Rope(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, rotation: Rotation) -> tuple[Tensor, Tensor]:
        ctx.rotation = rotation
        into = Heads(*(torch.empty(x.shape, dtype=x.dtype, device=x.device) for x in (q, k)))
        forward(Heads(q, k), rotation, into)
        return into.q, into.k

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        source = Heads(grads[0].contiguous(), grads[1].contiguous())
        into = Heads(torch.empty_like(source.q), torch.empty_like(source.k))
        backward(source, ctx.rotation, into)
        return into.q, into.k, None


def checks(device: torch.device) -> Iterator[Check]:
    """Both layouts of pairs and a partial rotation, beside plain torch in the same dtype."""
    for name, rotary_dim, interleaved in (("", 128, False), (", interleaved", 128, True), (", partial", 64, False)):
        for dtype in (torch.float32, torch.float16, torch.bfloat16):
            yield from _check("RoPE" + name, rotary_dim, interleaved, dtype, device)


def _check(
    name: str, rotary_dim: int, interleaved: bool, dtype: torch.dtype, device: torch.device
) -> Iterator[Check]:  # fmt: skip
    generator = torch.Generator(device).manual_seed(1)
    tokens, q_heads, k_heads, width = 1024, 32, 8, 128
    both = torch.randn(tokens, q_heads + k_heads, width, generator=generator, device=device).to(dtype)
    positions = torch.arange(tokens, device=device, dtype=torch.int32) % 300
    rotation = Rotation(tables(frequencies(rotary_dim, 5e5, None, 300), 300, device), positions, interleaved)
    source, got = Heads(both[:, :q_heads], both[:, q_heads:]), torch.empty_like(both)
    into = Heads(got[:, :q_heads], got[:, q_heads:])
    for part, run, sign in (("", forward, 1.0), (", back", backward, -1.0)):
        run(source, rotation, into)
        cos, sin = (table[positions.long()].unsqueeze(1) for table in (rotation.tables.cos, rotation.tables.sin))
        exact = _turned(both.double(), cos.double(), sign * sin.double(), interleaved)
        check = check_against(name + part, got, exact, _turned_eagerly(both, cos, sign * sin, interleaved))
        yield timed(check, functools.partial(run, source, rotation, into), 2 * both.nbytes)


def _turned_eagerly(x: Tensor, cos: Tensor, sin: Tensor, interleaved: bool) -> Tensor:
    """As models' own code does: tables rounded to x's type, two products and a sum, each rounded."""
    other = _turned(x, torch.zeros_like(cos), torch.ones_like(sin), interleaved)
    width = 2 * cos.shape[-1]
    cos, sin = (t.repeat_interleave(2, -1) if interleaved else torch.cat((t, t), -1) for t in (cos, sin))
    turned = x.clone()
    turned[..., :width] = x[..., :width] * cos.to(x.dtype) + other[..., :width] * sin.to(x.dtype)
    return turned
