"""The gated product h = activation(gate) * up, and for the adapter of the projection that reads it t = h A^T while h is
at hand.

A program sums up a part of the columns, and a second launch adds the parts. For ranks and types that
`tensor_cores.are_made_by_the_way` allows.
"""

from collections.abc import Iterator

import torch
import triton
import triton.language as tl
from torch import Tensor

from tui_tuner.kernels import gated_product
from tui_tuner.kernels.checking import Check, check_against, timed
from tui_tuner.kernels.gated_product import Activation, product_of
from tui_tuner.kernels.launch import on_device_of, rounded, split, uses_kernel
from tui_tuner.kernels.tensor_cores import made_once, multiplied, padded_columns, refuse_others

ROWS, COLUMNS, WARPS, STAGES = 32, 128, 4, 3
"""Of a program's tile; the fastest of 17 on an H200."""
PROGRAMS = 448
"""About so many are started, where rows alone make fewer."""


def forward(
    gate: Tensor, up: Tensor, activation: Activation, product: Tensor, a: Tensor, ranks: Tensor, kept: Tensor | None
) -> None:
    """activation(gate) * up [T, F] into `product`, and product A^T into `ranks` [T, R], with zeros after it.

    a: [r, F], r at most R. kept: [T, r], a second place for product A^T. Rows of all may be spaced.

    Raises:
        ValueError: not `tensor_cores.are_made_by_the_way`.
    """
    refuse_others(len(a), gate)
    (forward_kernel if uses_kernel(gate) else forward_reference)(gate, up, activation, product, a, ranks, kept)


def forward_reference(
    gate: Tensor, up: Tensor, activation: Activation, product: Tensor, a: Tensor, ranks: Tensor, kept: Tensor | None
) -> None:
    gated_product.forward_reference(gate, up, activation, product)
    ranks[:, : len(a)] = product @ a.T
    ranks[:, len(a) :] = 0.0
    if kept is not None:
        kept.copy_(ranks[:, : len(a)])


def forward_kernel(
    gate: Tensor, up: Tensor, activation: Activation, product: Tensor, a: Tensor, ranks: Tensor, kept: Tensor | None
) -> None:
    (tokens, width), count, room = gate.shape, len(a), ranks.shape[1]
    blocks = triton.cdiv(tokens, ROWS)
    tiles, num_parts = split(width, COLUMNS, PROGRAMS // blocks)
    parts = torch.empty(num_parts, tokens, count, dtype=torch.float32, device=gate.device)
    with on_device_of(gate):
        _forward[(blocks, num_parts)](
            gate, gate.stride(0), up, up.stride(0), product, product.stride(0), a, a.stride(0), parts,
            tokens, tiles, width, count, RANKS=padded_columns(count), ROWS=ROWS, COLUMNS=COLUMNS, ACTIVATION=activation,
            num_warps=WARPS, num_stages=STAGES, enable_fp_fusion=False,
        )  # fmt: skip
        _collect[(blocks,)](
            parts, num_parts, ranks, ranks.stride(0), kept, 0 if kept is None else kept.stride(0), tokens, count, room,
            ROOM=padded_columns(room), ROWS=ROWS,
        )  # fmt: skip


@triton.jit(do_not_specialize=["tokens", "tiles"])
def _forward(  # type: ignore[no-untyped-def]
    gate, gate_row, up, up_row, product, product_row, a, a_row, parts, tokens, tiles, width, count,
    RANKS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, ACTIVATION: tl.constexpr,
):  # fmt: skip
    row = (tl.program_id(0) * ROWS + tl.arange(0, ROWS)).to(tl.int64)
    rank = tl.arange(0, RANKS)
    dtype: tl.constexpr = product.dtype.element_ty
    total = tl.zeros([RANKS, ROWS], tl.float32)
    for tile in range(tl.program_id(1) * tiles, min((tl.program_id(1) + 1) * tiles, tl.cdiv(width, COLUMNS))):
        column = (tile * COLUMNS + tl.arange(0, COLUMNS))[None, :]
        inside = (row < tokens)[:, None] & (column < width)
        gate_value = tl.load(gate + row[:, None] * gate_row + column, inside, 0.0).to(tl.float32)
        up_value = tl.load(up + row[:, None] * up_row + column, inside, 0.0).to(tl.float32)
        result = made_once(product_of(gate_value, up_value, dtype, ACTIVATION))
        tl.store(product + row[:, None] * product_row + column, result, inside)
        of_a = tl.load(a + rank[:, None] * a_row + column, (rank < count)[:, None] & (column < width), 0.0)
        total += multiplied(of_a, tl.trans(result))
    place = parts + (tl.program_id(1) * tokens + row)[None, :] * count + rank[:, None]
    tl.store(place, total, (row < tokens)[None, :] & (rank < count)[:, None])


@triton.jit(do_not_specialize=["num_parts", "tokens"])
def _collect(  # type: ignore[no-untyped-def]
    parts, num_parts, ranks, ranks_row, kept, kept_row, tokens, count, room, ROOM: tl.constexpr, ROWS: tl.constexpr
):
    row = (tl.program_id(0) * ROWS + tl.arange(0, ROWS)).to(tl.int64)[:, None]
    rank = tl.arange(0, ROOM)[None, :]
    inside = (row < tokens) & (rank < count)
    total = tl.zeros([ROWS, ROOM], tl.float32)
    for index in range(num_parts):
        total += tl.load(parts + (index * tokens + row) * count + rank, inside, 0.0)
    value = rounded(total, ranks.dtype.element_ty)
    tl.store(ranks + row * ranks_row + rank, value, (row < tokens) & (rank < room))
    if kept is not None:
        tl.store(kept + row * kept_row + rank, value, inside)


def checks(device: torch.device) -> Iterator[Check]:
    """product A^T beside torch's in the same dtype; the product itself is tested there."""
    for dtype in (torch.float16, torch.bfloat16):
        generator = torch.Generator(device).manual_seed(16)
        sizes = ((500, 6000), (16, 3000))
        both, a = (torch.randn(*size, generator=generator, device=device).to(dtype) for size in sizes)
        gate, up = both.split(3000, dim=1)
        product, ranks = torch.empty_like(gate), both.new_empty(500, 16)
        call = lambda gate=gate, up=up, product=product, a=a, ranks=ranks: forward(  # noqa: E731
            gate, up, "silu", product, a, ranks, None
        )
        call()
        check = check_against("SwiGLU with x A^T", ranks, product.double() @ a.double().T, product @ a.T)
        yield timed(check, call, 3 * gate.nbytes)
