"""NF4 weights back to 16 or 32 bits, double-quantised scales included, in one launch and bit-equal to bitsandbytes.

A weight is stored row-major, two values a byte with the first in the high half; `block_size` values share one scale.
Scales may be bytes themselves: scale = code[byte] * outer scale + offset, where `outer_block_size` scales share one
outer scale. Each of these operations is rounded on its own (no fused multiply-add), and so is the last product.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
import triton
import triton.language as tl
from torch import Tensor

from tui_tuner.kernels.checking import Check, dtype_name, timed
from tui_tuner.kernels.launch import on_device_of, rounded

LEVELS = (
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
    -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
)  # fmt: skip
"""The sixteen values of NF4 (QLoRA, Dettmers et al. 2023, appendix E), as float32 prints them."""
TILE_BYTES = 512
"""Packed bytes of one program; the fastest into rows with spare columns behind them, where most weights go (H100)."""
WARPS = 2


@dataclass(frozen=True, slots=True)
class OuterScales:
    """How the scales themselves were quantised."""

    code: Tensor
    """float32 [256]."""
    scales: Tensor
    """float32, one for `block_size` scales."""
    offset: Tensor
    """Scalar float32, on the device."""
    block_size: int


@dataclass(frozen=True, slots=True)
class Nf4Weight:
    """A packed matrix; nothing in it is copied from where it came from."""

    packed: Tensor
    """uint8, ceil(rows * columns / 2) bytes."""
    scales: Tensor
    """uint8 where `outer` is given, else float32: one for each block."""
    levels: Tensor
    """float32 [16]."""
    shape: tuple[int, int]
    block_size: int
    outer: OuterScales | None


class QuantizedState(Protocol):
    """What bitsandbytes keeps beside a packed weight (`Params4bit.quant_state`), as far as it is read here."""

    absmax: Tensor
    code: Tensor
    shape: Any
    blocksize: int
    quant_type: str
    offset: Tensor
    state2: Any


def nf4_weight(packed: Tensor, state: QuantizedState) -> Nf4Weight:
    """The weight that bitsandbytes packed.

    Raises:
        ValueError: it is not NF4, or not a matrix.
    """
    if state.quant_type != "nf4" or len(state.shape) != 2:
        raise ValueError(f"a matrix in nf4 is needed, not {state.quant_type} of shape {tuple(state.shape)}")
    outer = None
    if state.state2 is not None:
        inner = state.state2
        outer = OuterScales(inner.code.float(), inner.absmax.float(), state.offset.float(), inner.blocksize)
    scales = state.absmax if outer is not None else state.absmax.float()
    shape = (int(state.shape[0]), int(state.shape[1]))
    return Nf4Weight(packed.view(torch.uint8).flatten(), scales, state.code.float(), shape, state.blocksize, outer)


def dequantize(weight: Nf4Weight, out: Tensor) -> Tensor:
    """Fills and returns `out`, [rows, columns] of any float dtype; its rows may be spaced, as in a view of a buffer."""
    run = dequantize_kernel if weight.packed.is_cuda else dequantize_reference
    return run(weight, out)


def dequantize_reference(weight: Nf4Weight, out: Tensor) -> Tensor:
    rows, columns = weight.shape
    nibbles = torch.stack((weight.packed >> 4, weight.packed & 0xF), dim=1).flatten()[: rows * columns]
    scales = weight.scales
    if weight.outer is not None:
        outer_scales = weight.outer.scales.repeat_interleave(weight.outer.block_size)[: len(scales)]
        scales = weight.outer.code[scales.long()] * outer_scales + weight.outer.offset
    values = weight.levels[nibbles.long()] * scales.repeat_interleave(weight.block_size)[: rows * columns]
    return out.copy_(values.view(rows, columns))


def dequantize_kernel(weight: Nf4Weight, out: Tensor) -> Tensor:
    rows, columns = weight.shape
    if out.shape != weight.shape or out.stride(1) != 1:
        raise ValueError(f"{weight.shape} does not fit a buffer of shape {tuple(out.shape)}, strides {out.stride()}")
    num_values = rows * columns
    half = weight.block_size // 2
    blocks = max(1, TILE_BYTES // half)
    outer = weight.outer
    with on_device_of(out):
        _dequantize[(triton.cdiv(triton.cdiv(num_values, weight.block_size), blocks),)](
            weight.packed, weight.scales, weight.levels, out,
            None if outer is None else outer.code, None if outer is None else outer.scales,
            None if outer is None else outer.offset,
            num_values, columns, out.stride(0),
            OUTER_BLOCK=0 if outer is None else outer.block_size, BLOCKS=blocks, HALF=half,
            LAYOUT=_layout(weight, out), num_warps=WARPS, enable_fp_fusion=False,
        )  # fmt: skip
    return out


def _layout(weight: Nf4Weight, out: Tensor) -> int:
    """0: one run of values. 1: spaced rows of whole blocks. 2: spaced rows in which blocks begin anywhere."""
    if out.stride(0) == weight.shape[1] or weight.shape[0] == 1:
        return 0
    return 1 if weight.shape[1] % weight.block_size == 0 else 2


def checks(device: torch.device) -> Iterator[Check]:
    """Bits that differ from the reference's, of which there must be none; contiguous and spaced rows."""
    weight = random_weight((1024, 4096), device)
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        for spare in (0, 64):
            buffer = torch.zeros(1024, 4096 + spare, dtype=dtype, device=device)[:, :4096]
            wanted = dequantize_reference(weight, torch.empty_like(buffer))
            differing = int((dequantize(weight, buffer) != wanted).sum())
            name = f"nf4 to {'spaced' if spare else 'contiguous'} rows, values that differ"
            check = Check(name, dtype_name(dtype), float(differing), 0.0)
            num_bytes = 1024 * 4096 // 2 + 1024 * 64 + 1024 * 4096 * dtype.itemsize
            yield timed(check, lambda buffer=buffer: dequantize(weight, buffer), num_bytes)  # type: ignore[misc]


def random_weight(
    shape: tuple[int, int], device: torch.device, block_size: int = 64, nested: bool = True, seed: int = 0
) -> Nf4Weight:
    """Random bytes and scales, for checks, tests and benchmarks."""
    generator = torch.Generator(device).manual_seed(seed)
    num_values = shape[0] * shape[1]
    num_scales = -(-num_values // block_size)
    packed = torch.randint(0, 256, (-(-num_values // 2),), generator=generator, device=device, dtype=torch.uint8)
    levels = torch.tensor(LEVELS, device=device)
    if not nested:
        scales = torch.rand(num_scales, generator=generator, device=device) + 0.01
        return Nf4Weight(packed, scales, levels, shape, block_size, None)
    scales = torch.randint(0, 256, (num_scales,), generator=generator, device=device, dtype=torch.uint8)
    code = torch.linspace(-1, 1, 256, device=device)
    outer_scales = torch.rand(-(-num_scales // 256), generator=generator, device=device)
    offset = torch.tensor(1.1337, device=device)
    return Nf4Weight(packed, scales, levels, shape, block_size, OuterScales(code, outer_scales, offset, 256))


@triton.jit
def _dequantize(  # type: ignore[no-untyped-def]
    packed,
    scales,
    levels,
    out,
    outer_code,
    outer_scales,
    outer_offset,
    num_values,
    columns,
    row_stride,
    OUTER_BLOCK: tl.constexpr,
    BLOCKS: tl.constexpr,
    HALF: tl.constexpr,
    LAYOUT: tl.constexpr,
):
    """A tile is BLOCKS blocks, one a row: each scale is decoded once, and each thread stores what it unpacked."""
    block = tl.program_id(0).to(tl.int64) * BLOCKS + tl.arange(0, BLOCKS)
    first = block * (2 * HALF)
    exists = first < num_values
    scale = tl.load(scales + block, mask=exists, other=0)
    if OUTER_BLOCK > 0:
        outer = tl.load(outer_scales + block // OUTER_BLOCK, mask=exists, other=0.0)
        scale = tl.load(outer_code + scale.to(tl.int32)) * outer + tl.load(outer_offset)

    byte = tl.arange(0, HALF)
    byte_exists = first[:, None] + 2 * byte[None, :] < num_values
    pair = tl.load(packed + block[:, None] * HALF + byte[None, :], mask=byte_exists, other=0).to(tl.int32)
    high = tl.load(levels + (pair >> 4)) * scale[:, None]
    low = tl.load(levels + (pair & 0xF)) * scale[:, None]
    values = rounded(tl.interleave(high, low), out.dtype.element_ty)

    within = tl.arange(0, 2 * HALF)
    index = first[:, None] + within[None, :]
    if LAYOUT == 0:
        place = index
    elif LAYOUT == 1:
        row = first // columns
        place = (row * row_stride + (first - row * columns))[:, None] + within[None, :]
    else:
        row = index // columns
        place = row * row_stride + (index - row * columns)
    tl.store(out + place, values, mask=index < num_values)
