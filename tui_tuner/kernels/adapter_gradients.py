"""Gradients of LoRA's matrices, added in float32 to a flat buffer: dA += dt^T x and dB += scaling dy^T t, t = x A^T.

Both are products over the tokens of something wide with something of R columns: too few tiles to fill a device, so the
tokens are split among programs, whose partial sums a second launch adds up in a fixed order. No atomics: two runs give
the same bits.
"""

from collections.abc import Iterator

import torch
import triton
import triton.language as tl
from torch import Tensor

from tui_tuner.kernels.checking import Check, check_against, timed
from tui_tuner.kernels.launch import INTERPRETED, on_device_of, persistent_programs, uses_kernel
from tui_tuner.kernels.lora_layout import Extended, GradientPlaces, LoraLayout, Projection, gradient_places

WIDE_BLOCK = 128
TOKEN_BLOCK = 64
STAGES = 4
"""Blocks of tokens on their way at a time."""
PROGRAMS_PER_PROCESSOR = 2


def add_adapter_gradients(dy: Extended, x: Extended, places: GradientPlaces) -> None:
    """Kernel or reference, by `uses_kernel`; rows of all four tensors may be spaced."""
    run = add_adapter_gradients_kernel if uses_kernel(x.wide) else add_adapter_gradients_reference
    run(dy, x, places)


def add_adapter_gradients_reference(dy: Extended, x: Extended, places: GradientPlaces) -> None:
    kind, device = places.flat.dtype, places.flat.device
    grad_a = dy.ranks.to(kind).T @ x.wide.to(kind)
    a_rows = places.a_starts >= 0
    a_places = places.a_starts[a_rows].unsqueeze(1) + torch.arange(grad_a.shape[1], device=device)
    places.flat.index_add_(0, a_places.flatten(), grad_a[a_rows].flatten())
    grad_b = (dy.wide.to(kind).T @ x.ranks.to(kind)) * places.b_scales.to(kind).unsqueeze(1)
    ranks = torch.arange(grad_b.shape[1], device=device)
    first, end = places.b_ranks[:, :1], places.b_ranks[:, 1:]
    inside = (ranks >= first) & (ranks < end)
    b_places = places.b_starts.unsqueeze(1) + ranks - first
    places.flat.index_add_(0, b_places[inside], grad_b[inside])


def add_adapter_gradients_kernel(dy: Extended, x: Extended, places: GradientPlaces) -> None:
    """Four launches."""
    _add_product(x.wide, dy.ranks, places, of_a=True)
    _add_product(dy.wide, x.ranks, places, of_a=False)


def _add_product(wide: Tensor, narrow: Tensor, places: GradientPlaces, *, of_a: bool) -> None:
    num_tokens, width = wide.shape
    ranks = narrow.shape[1]
    rank_block = max(16, min(64, triton.next_power_of_2(ranks)))
    tiles = triton.cdiv(width, WIDE_BLOCK), triton.cdiv(ranks, rank_block)
    splits = _splits(num_tokens, tiles[0] * tiles[1], wide.device)
    per_split = triton.cdiv(triton.cdiv(num_tokens, splits), TOKEN_BLOCK) * TOKEN_BLOCK
    partials = torch.empty(splits, width, ranks, dtype=torch.float32, device=wide.device)
    elements = 1024
    with on_device_of(wide):
        _partial_products[(*tiles, splits)](
            wide, narrow, partials, num_tokens, per_split, wide.stride(0), narrow.stride(0),
            WIDTH=width, RANKS=ranks, OF_A=of_a, WIDE_BLOCK=WIDE_BLOCK, RANK_BLOCK=rank_block,
            TOKEN_BLOCK=TOKEN_BLOCK, num_warps=4, num_stages=STAGES if wide.element_size() == 2 else 2,
            enable_fp_fusion=False,
        )  # fmt: skip
        _add_partials[(triton.cdiv(width * ranks, elements),)](
            partials, places.flat, places.a_starts if of_a else places.b_starts, places.b_ranks, places.b_scales,
            splits, WIDTH=width, RANKS=ranks, OF_A=of_a, BLOCK=elements, num_warps=4, enable_fp_fusion=False,
        )  # fmt: skip


def _splits(num_tokens: int, tiles: int, device: torch.device) -> int:
    """Enough to fill the device, but none of fewer than four blocks of tokens."""
    wanted = triton.cdiv(persistent_programs(device, PROGRAMS_PER_PROCESSOR), tiles)
    return max(1, min(wanted, num_tokens // (4 * TOKEN_BLOCK), 16))


def checks(device: torch.device) -> Iterator[Check]:
    """Against float64, beside torch's products in the same dtype added in float32."""
    layout = LoraLayout(512, (Projection(384, 16, 2.0), Projection(128, 8, 0.5)))
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        generator = torch.Generator(device).manual_seed(10)
        buffers = [
            torch.randn(700, features + layout.padded_rank, generator=generator, device=device).to(dtype)
            for features in (layout.out_features, layout.in_features)
        ]
        ours, exact, usual = (_flat_gradient(kind, device, layout) for kind in (torch.float32, torch.float64, dtype))
        dy, x = _extended(buffers, layout, dtype)
        add_adapter_gradients(dy, x, ours)
        add_adapter_gradients_reference(*_extended(buffers, layout, torch.float64), exact)
        add_adapter_gradients_reference(dy, x, usual)
        check = check_against("adapter gradients", ours.flat.to(dtype), exact.flat, usual.flat)
        call = lambda dy=dy, x=x, ours=ours: add_adapter_gradients(dy, x, ours)  # noqa: E731
        yield timed(check, call, sum(buffer.nbytes for buffer in buffers))


def _extended(buffers: list[Tensor], layout: LoraLayout, dtype: torch.dtype) -> tuple[Extended, Extended]:
    dy, x = (buffer.to(dtype) for buffer in buffers)
    return Extended.of(dy, layout.out_features), Extended.of(x, layout.in_features)


def _flat_gradient(dtype: torch.dtype, device: torch.device, layout: LoraLayout) -> GradientPlaces:
    starts, end = [], 0
    for projection in layout.projections:
        a_end = end + projection.rank * layout.in_features
        starts.append((end, a_end))
        end = a_end + projection.rank * projection.out_features
    return gradient_places(layout, torch.zeros(end, dtype=dtype, device=device), tuple(starts))


@triton.jit
def _partial_products(  # type: ignore[no-untyped-def]
    wide,
    narrow,
    partials,
    num_tokens,
    per_split,
    wide_stride,
    narrow_stride,
    WIDTH: tl.constexpr,
    RANKS: tl.constexpr,
    OF_A: tl.constexpr,
    WIDE_BLOCK: tl.constexpr,
    RANK_BLOCK: tl.constexpr,
    TOKEN_BLOCK: tl.constexpr,
):
    """partials[split] = wide^T narrow over the tokens of one split; a tile of [WIDE_BLOCK, RANK_BLOCK] a program.

    Stored in the order in which A [R, in] or B [out, R] has its elements.
    """
    columns = tl.program_id(0) * WIDE_BLOCK + tl.arange(0, WIDE_BLOCK)
    ranks = tl.program_id(1) * RANK_BLOCK + tl.arange(0, RANK_BLOCK)
    split = tl.program_id(2)
    sums = tl.zeros([WIDE_BLOCK, RANK_BLOCK], dtype=tl.float32)
    start = split * per_split
    for first in range(start, tl.minimum(start + per_split, num_tokens), TOKEN_BLOCK):
        tokens = first + tl.arange(0, TOKEN_BLOCK)
        rows = tokens.to(tl.int64)[:, None]
        there = (tokens < num_tokens)[:, None]
        x = tl.load(wide + rows * wide_stride + columns[None, :], mask=there & (columns < WIDTH)[None, :], other=0.0)
        y = tl.load(narrow + rows * narrow_stride + ranks[None, :], mask=there & (ranks < RANKS)[None, :], other=0.0)
        if INTERPRETED:
            x, y = x.to(tl.float32), y.to(tl.float32)
        sums = tl.dot(tl.trans(x), y, sums, input_precision="ieee")
    partials += split.to(tl.int64) * WIDTH * RANKS
    place = ranks[None, :] * WIDTH + columns[:, None] if OF_A else columns[:, None] * RANKS + ranks[None, :]
    tl.store(partials + place, sums, mask=(columns < WIDTH)[:, None] & (ranks < RANKS)[None, :])


@triton.jit
def _add_partials(  # type: ignore[no-untyped-def]
    partials,
    flat,
    starts,
    b_ranks,
    b_scales,
    splits,
    WIDTH: tl.constexpr,
    RANKS: tl.constexpr,
    OF_A: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Each element of the product, summed over the splits, to its place in the flat gradient."""
    index = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = index < WIDTH * RANKS
    if OF_A:
        rank, column = index // WIDTH, index % WIDTH
        start = tl.load(starts + rank, mask=inside, other=-1)
        place = start + column
        wanted = inside & (start >= 0)
    else:
        rank, column = index % RANKS, index // RANKS
        start = tl.load(starts + column, mask=inside, other=-1)
        first = tl.load(b_ranks + 2 * column, mask=inside, other=0)
        end = tl.load(b_ranks + 2 * column + 1, mask=inside, other=0)
        place = start + rank - first
        wanted = inside & (start >= 0) & (rank >= first) & (rank < end)
    sums = tl.zeros([BLOCK], dtype=tl.float32)
    for split in range(splits):
        sums += tl.load(partials + tl.cast(split, tl.int64) * WIDTH * RANKS + index, mask=wanted, other=0.0)
    if not OF_A:
        sums *= tl.load(b_scales + column, mask=wanted, other=0.0)
    tl.store(flat + place, tl.load(flat + place, mask=wanted, other=0.0) + sums, mask=wanted)
