"""NF4 weights back to 16 or 32 bits, double-quantised scales included, in one launch and bit-equal to bitsandbytes.

A weight is stored row-major, two values a byte with the first in the high half; `block_size` values share one scale.
Scales may be bytes themselves: scale = code[byte] * outer scale + offset, where `outer_block_size` scales share one
outer scale. Each of these operations is rounded on its own (no fused multiply-add), and so is the last product.
"""

from collections.abc import Iterable, Iterator
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
WORD = 8
"""Values in four bytes."""
TILE_WORDS = 256
"""Of a row, in one program: one for each thread."""
TILE_VALUES = 1024


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


def dequantize_stacked(weights: Iterable[Nf4Weight], out: Tensor) -> None:
    """Fills `out`, [rows of all, columns], with one below the other."""
    start = 0
    for weight in weights:
        dequantize(weight, out[start : start + weight.shape[0]])
        start += weight.shape[0]


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
    with on_device_of(out):
        if _is_in_words(weight):
            words = columns // WORD
            _dequantize_words[(rows, triton.cdiv(words, TILE_WORDS))](
                weight.packed.view(torch.int32), *_tables(weight), out, words, out.stride(0),
                **_blocks(weight), WORDS=TILE_WORDS, num_warps=TILE_WORDS // 32, enable_fp_fusion=False,
            )  # fmt: skip
        else:
            _dequantize_values[(triton.cdiv(rows * columns, TILE_VALUES),)](
                weight.packed, *_tables(weight), out, rows * columns, columns, out.stride(0),
                **_blocks(weight), VALUES=TILE_VALUES, enable_fp_fusion=False,
            )  # fmt: skip
    return out


def _is_in_words(weight: Nf4Weight) -> bool:
    """Whether no four bytes belong to two rows or to two blocks."""
    is_even = weight.shape[1] % WORD == 0 and weight.block_size % WORD == 0
    return is_even and weight.packed.storage_offset() % 4 == 0


def _tables(weight: Nf4Weight) -> tuple[Tensor | None, ...]:
    outer = weight.outer
    nested = (None, None, None) if outer is None else (outer.code, outer.scales, outer.offset)
    return weight.scales, weight.levels, *nested


def _blocks(weight: Nf4Weight) -> dict[str, int]:
    return {"BLOCK": weight.block_size, "OUTER_BLOCK": 0 if weight.outer is None else weight.outer.block_size}


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
def _scale(scales, outer_code, outer_scales, outer_offset, block, exists, OUTER_BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    scale = tl.load(scales + block, mask=exists, other=0)
    if OUTER_BLOCK > 0:
        outer = tl.load(outer_scales + block // OUTER_BLOCK, mask=exists, other=0.0)
        scale = tl.load(outer_code + scale.to(tl.int32)) * outer + tl.load(outer_offset)
    return scale


@triton.jit
def _level(levels, word, SHIFT: tl.constexpr):  # type: ignore[no-untyped-def]
    return tl.load(levels + ((word >> SHIFT) & 0xF))


@triton.jit
def _dequantize_words(  # type: ignore[no-untyped-def]
    packed, scales, levels, outer_code, outer_scales, outer_offset, out, words_in_row, row_stride,
    BLOCK: tl.constexpr, OUTER_BLOCK: tl.constexpr, WORDS: tl.constexpr,
):  # fmt: skip
    """Each thread unpacks one word: the eight values that it stores at once, which share a scale."""
    row = tl.program_id(0)
    word = tl.program_id(1) * WORDS + tl.arange(0, WORDS)
    exists = word < words_in_row
    index = row * words_in_row + word
    bits = tl.load(packed + index, mask=exists, other=0)
    scale = _scale(scales, outer_code, outer_scales, outer_offset, index // (BLOCK // 8), exists, OUTER_BLOCK)
    # Bytes in the order of memory, of each the high half first.
    even = tl.join(
        tl.join(_level(levels, bits, 4), _level(levels, bits, 20)),
        tl.join(_level(levels, bits, 12), _level(levels, bits, 28)),
    )
    odd = tl.join(
        tl.join(_level(levels, bits, 0), _level(levels, bits, 16)),
        tl.join(_level(levels, bits, 8), _level(levels, bits, 24)),
    )
    values = tl.reshape(tl.join(even, odd), (WORDS, 8)) * scale[:, None]
    place = out + row.to(tl.int64) * row_stride + word[:, None] * 8 + tl.arange(0, 8)[None, :]
    tl.store(place, rounded(values, out.dtype.element_ty), mask=exists[:, None])


@triton.jit
def _dequantize_values(  # type: ignore[no-untyped-def]
    packed, scales, levels, outer_code, outer_scales, outer_offset, out, num_values, columns, row_stride,
    BLOCK: tl.constexpr, OUTER_BLOCK: tl.constexpr, VALUES: tl.constexpr,
):  # fmt: skip
    """Of any shape, value by value."""
    index = tl.program_id(0).to(tl.int64) * VALUES + tl.arange(0, VALUES)
    exists = index < num_values
    byte = tl.load(packed + index // 2, mask=exists, other=0).to(tl.int32)
    scale = _scale(scales, outer_code, outer_scales, outer_offset, index // BLOCK, exists, OUTER_BLOCK)
    value = tl.load(levels + tl.where(index % 2 == 0, byte >> 4, byte & 0xF)) * scale
    row = index // columns
    place = row * row_stride + (index - row * columns)
    tl.store(out + place, rounded(value, out.dtype.element_ty), mask=exists)
