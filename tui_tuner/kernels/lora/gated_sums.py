"""Backward of the gated product h = activation(gate) * up, with those gradients of the adapters around it that are sums
over its tokens, while dgate, dup and h are at hand. h is not written.

    dA += dt^T h        dB_gate += s dgate^T t        dB_up += s dup^T t

dt belongs to the projection that reads h, t to those that made gate and up. A program has some columns and sums up a
part of the tokens; a second launch adds the parts. For ranks and types that `tensor_cores.are_made_by_the_way` allows.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

from tui_tuner.kernels import gated_product
from tui_tuner.kernels.checking import Check, check_against, timed
from tui_tuner.kernels.gated_product import Activation, GatedGradients, gradients_of
from tui_tuner.kernels.launch import on_device_of, split, uses_kernel
from tui_tuner.kernels.tensor_cores import made_once, multiplied, padded_columns, refuse_others
from tui_tuner.kernels.wide_product import add_product

ROWS, COLUMNS, WARPS, STAGES = 32, 64, 4, 3
"""Of a program's tile; the fastest of 26 on an H200."""
PARTS = 4
"""Of the tokens: more mean more sums to add up, fewer leave processors idle at the end."""


@dataclass(frozen=True, slots=True)
class ThinSum:
    """The gradient of an adapter's matrix: scaling * ranks^T times what backward makes."""

    ranks: Tensor
    """[T, r]."""
    gradient: Tensor
    """[r, F], added to; rows or columns may be spaced. float32 for 16-bit ranks."""
    scaling: float = 1.0


@dataclass(frozen=True, slots=True)
class ThinSums:
    """Those around one gated product. None where there is no such adapter."""

    product: ThinSum | None
    """dA of what reads the product."""
    gate: ThinSum | None
    """dB, as are those of up."""
    up: ThinSum | None

    @property
    def all(self) -> tuple[ThinSum | None, ThinSum | None, ThinSum | None]:
        return self.product, self.gate, self.up

    @property
    def rank(self) -> int:
        """The largest; 0 where there is no adapter."""
        return max((_rank(one) for one in self.all), default=0)


def backward(grad: Tensor, gate: Tensor, up: Tensor, activation: Activation, sums: ThinSums) -> None:
    """`gate` and `up` [T, F] become their gradients, from that of the product; `sums` are added. `grad` may hold
    anything afterwards.

    Raises:
        ValueError: not `tensor_cores.are_made_by_the_way`.
    """
    refuse_others(sums.rank, gate)
    (backward_kernel if uses_kernel(gate) else backward_reference)(grad, gate, up, activation, sums)


def backward_reference(grad: Tensor, gate: Tensor, up: Tensor, activation: Activation, sums: ThinSums) -> None:
    gated_product.backward_reference(grad, gate, up, activation, GatedGradients(gate, up, grad))
    for one, made in zip(sums.all, (grad, gate, up), strict=True):
        if one is not None:
            add_product(one.gradient, one.ranks.T, made, one.scaling)


def backward_kernel(grad: Tensor, gate: Tensor, up: Tensor, activation: Activation, sums: ThinSums) -> None:
    tokens, width = gate.shape
    blocks, padded = triton.cdiv(width, COLUMNS), padded_columns(sums.rank)
    tiles, num_parts = split(tokens, ROWS, PARTS)
    parts = torch.empty(num_parts, len(sums.all), padded, width, dtype=torch.float32, device=gate.device)
    inputs = [argument for one in sums.all for argument in _input(one)]
    outputs = [argument for one in sums.all for argument in _output(one)]
    of_product, of_gate, of_up = (_rank(one) for one in sums.all)
    with on_device_of(gate):
        _backward[(blocks, num_parts)](
            grad, grad.stride(0), gate, gate.stride(0), up, up.stride(0), *inputs, parts, tokens, tiles, width,
            PRODUCT=of_product, GATE=of_gate, UP=of_up, RANKS=padded, ROWS=ROWS, COLUMNS=COLUMNS,
            ACTIVATION=activation, num_warps=WARPS, num_stages=STAGES, enable_fp_fusion=False,
        )  # fmt: skip
        _add[(blocks, len(sums.all))](
            parts, num_parts, *outputs, width,
            PRODUCT=of_product, GATE=of_gate, UP=of_up, RANKS=padded, COLUMNS=COLUMNS,
        )  # fmt: skip


def _rank(one: ThinSum | None) -> int:
    return 0 if one is None else one.ranks.shape[1]


def _input(one: ThinSum | None) -> tuple[Tensor | None, int]:
    return (None, 0) if one is None else (one.ranks, one.ranks.stride(0))


def _output(one: ThinSum | None) -> tuple[Tensor | None, int, int, float]:
    if one is None:
        return None, 0, 0, 0.0
    return one.gradient, one.gradient.stride(0), one.gradient.stride(1), one.scaling


@triton.jit(do_not_specialize=["tokens", "tiles"])
def _backward(  # type: ignore[no-untyped-def]
    grad, grad_row, gate, gate_row, up, up_row,
    of_product, of_product_row, of_gate, of_gate_row, of_up, of_up_row, parts, tokens, tiles, width,
    PRODUCT: tl.constexpr, GATE: tl.constexpr, UP: tl.constexpr, RANKS: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, ACTIVATION: tl.constexpr,
):  # fmt: skip
    column = (tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS))[None, :]
    dtype: tl.constexpr = gate.dtype.element_ty
    sum_product = tl.zeros([RANKS, COLUMNS], tl.float32)
    sum_gate = tl.zeros([RANKS, COLUMNS], tl.float32)
    sum_up = tl.zeros([RANKS, COLUMNS], tl.float32)
    for tile in range(tl.program_id(1) * tiles, min((tl.program_id(1) + 1) * tiles, tl.cdiv(tokens, ROWS))):
        row = (tile * ROWS + tl.arange(0, ROWS)).to(tl.int64)[:, None]
        inside = (row < tokens) & (column < width)
        grad_value = tl.load(grad + row * grad_row + column, inside, 0.0).to(tl.float32)
        gate_value = tl.load(gate + row * gate_row + column, inside, 0.0).to(tl.float32)
        up_value = tl.load(up + row * up_row + column, inside, 0.0).to(tl.float32)
        grad_gate, grad_up, product = gradients_of(grad_value, gate_value, up_value, dtype, ACTIVATION)
        grad_gate, grad_up = made_once(grad_gate), made_once(grad_up)
        tl.store(gate + row * gate_row + column, grad_gate, inside)
        tl.store(up + row * up_row + column, grad_up, inside)
        if PRODUCT > 0:
            product = made_once(product)
            sum_product += multiplied(_turned(of_product, of_product_row, row, tokens, PRODUCT, RANKS), product)
        if GATE > 0:
            sum_gate += multiplied(_turned(of_gate, of_gate_row, row, tokens, GATE, RANKS), grad_gate)
        if UP > 0:
            sum_up += multiplied(_turned(of_up, of_up_row, row, tokens, UP, RANKS), grad_up)
    rank = tl.arange(0, RANKS)[:, None]
    place = parts + (3 * RANKS * tl.program_id(1) + rank) * width + column
    if PRODUCT > 0:
        tl.store(place, sum_product, column < width)
    if GATE > 0:
        tl.store(place + RANKS * width, sum_gate, column < width)
    if UP > 0:
        tl.store(place + 2 * RANKS * width, sum_up, column < width)


@triton.jit
def _turned(ranks, ranks_row, row, tokens, COUNT: tl.constexpr, RANKS: tl.constexpr):  # type: ignore[no-untyped-def]
    """[RANKS, ROWS] of some tokens; what lies beyond COUNT is somebody else's."""
    rank = tl.arange(0, RANKS)[None, :]
    return tl.trans(tl.load(ranks + row * ranks_row + rank, (row < tokens) & (rank < COUNT), 0.0))


@triton.jit(do_not_specialize=["num_parts"])
def _add(  # type: ignore[no-untyped-def]
    parts, num_parts,
    product, product_rank, product_column, product_scaling, gate, gate_rank, gate_column, gate_scaling,
    up, up_rank, up_column, up_scaling, width,
    PRODUCT: tl.constexpr, GATE: tl.constexpr, UP: tl.constexpr, RANKS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """The second dimension of the grid says whose sums."""
    part = tl.program_id(1)
    # Nested, since a place that is None must not be compiled.
    if PRODUCT > 0:  # noqa: SIM102
        if part == 0:
            total = product_scaling * _total(parts, num_parts, width, RANKS, COLUMNS)
            _add_to(product, product_rank, product_column, total, width, PRODUCT)
    if GATE > 0:  # noqa: SIM102
        if part == 1:
            total = gate_scaling * _total(parts, num_parts, width, RANKS, COLUMNS)
            _add_to(gate, gate_rank, gate_column, total, width, GATE)
    if UP > 0:  # noqa: SIM102
        if part == 2:
            total = up_scaling * _total(parts, num_parts, width, RANKS, COLUMNS)
            _add_to(up, up_rank, up_column, total, width, UP)


@triton.jit
def _total(parts, num_parts, width, RANKS: tl.constexpr, COLUMNS: tl.constexpr):  # type: ignore[no-untyped-def]
    rank = tl.arange(0, RANKS)[:, None]
    column = (tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS))[None, :]
    total = tl.zeros([RANKS, COLUMNS], tl.float32)
    for index in range(num_parts):
        place = parts + ((3 * index + tl.program_id(1)) * RANKS + rank) * width + column
        total += tl.load(place, column < width, 0.0)
    return total


@triton.jit
def _add_to(  # type: ignore[no-untyped-def]
    gradient, gradient_rank, gradient_column, added, width, COUNT: tl.constexpr
):
    rank = tl.arange(0, added.shape[0])[:, None]
    column = (tl.program_id(0) * added.shape[1] + tl.arange(0, added.shape[1]))[None, :]
    place, inside = gradient + rank * gradient_rank + column * gradient_column, (rank < COUNT) & (column < width)
    tl.store(place, tl.load(place, inside, 0.0) + added, inside)


def checks(device: torch.device) -> Iterator[Check]:
    """Sums beside float64 and torch's products in the same dtype; the gradients that they are of are tested there."""
    for dtype in (torch.float16, torch.bfloat16):
        generator = torch.Generator(device).manual_seed(17)
        sizes = ((700, 4000), (700, 2000), (700, 48))
        both, grad, ranks = (torch.randn(*size, generator=generator, device=device).to(dtype) for size in sizes)
        gate, up = both.split(2000, dim=1)
        made = gated_product.new_gradients(gate, with_product=True)
        gated_product.backward(grad, gate, up, "silu", made)
        totals = torch.zeros(48, 2000, device=device)
        parts = zip(ranks.split(16, dim=1), totals.split(16), strict=True)
        sums = ThinSums(*(ThinSum(one, total) for one, total in parts))
        backward(grad, gate, up, "silu", sums)
        exact, usual = (_sums_by_torch(made, ranks.to(kind)) for kind in (torch.float64, dtype))
        call = lambda grad=grad, gate=gate, up=up, sums=sums: backward(grad, gate, up, "silu", sums)  # noqa: E731
        check = check_against("SwiGLU backward with adapters' sums", totals.to(dtype), exact, usual)
        yield timed(check, call, 5 * grad.nbytes)


def _sums_by_torch(made: GatedGradients, ranks: Tensor) -> Tensor:
    assert made.product is not None
    factors = (made.product, made.gate, made.up)
    return torch.cat([one.T @ of.to(one.dtype) for one, of in zip(ranks.split(16, 1), factors, strict=True)])
