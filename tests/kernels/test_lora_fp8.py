"""LoRA on a base in 8 bits: exact where 8 bits are, three bits off elsewhere, and adapters never in 8 bits."""

import pytest
import torch
from torch import Tensor

from tests.kernels.test_lora_linear import SEVERAL, inputs
from tui_tuner.kernels.checking import relative_error
from tui_tuner.kernels.fp8 import quantized_weight
from tui_tuner.kernels.fp8_rows import DTYPE
from tui_tuner.kernels.lora import linear as op
from tui_tuner.kernels.lora.fp8 import Fp8LoraWeight
from tui_tuner.kernels.lora.layout import Extended, LoraLayout, Projection, empty_adapters

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
KIND = torch.bfloat16 if DEVICE.type == "cuda" else torch.float32
TOLERANCE = 0.04
"""Each factor of a product of normal numbers is 2.6 % off by rounding to 3 bits; errors of both add up in squares."""
BARE = LoraLayout(32, (Projection(48, 0),))


def weight_of(layout: LoraLayout, base: Tensor, adapters: list[Tensor], *, keeps: bool = True) -> Fp8LoraWeight:
    copies = empty_adapters(layout, KIND, DEVICE)
    for index, projection in enumerate(layout.projections):
        copies.a[layout.ranks(index)] = adapters[2 * index].to(KIND)
        copies.b[layout.rows(index), layout.ranks(index)] = (adapters[2 * index + 1] * projection.scaling).to(KIND)
    scratch = None if keeps else torch.empty(layout.in_features, layout.out_features, dtype=DTYPE, device=DEVICE)
    return Fp8LoraWeight(layout, quantized_weight(base.to(KIND), keep_transposed=keeps), copies, None, scratch)


def with_ranks(wide: Tensor, layout: LoraLayout) -> Extended:
    wide = wide.to(KIND)
    return Extended(wide, torch.empty(len(wide), layout.padded_rank, dtype=KIND, device=DEVICE))


def results(x: Tensor, weight: Fp8LoraWeight, grad: Tensor, *, spaced: bool = False) -> tuple[Tensor, Tensor]:
    """Output and gradient of x, into rows that lie beside each other or not."""
    layout = weight.layout
    rows = [torch.empty(len(x), n + 8 * spaced, dtype=KIND, device=DEVICE) for n in (layout.out_features, x.shape[1])]
    out, grad_x = rows[0][:, : layout.out_features], rows[1][:, : x.shape[1]]
    op.forward(with_ranks(x, layout), weight, out)
    dy = with_ranks(grad, layout)
    op.fill_gradient_ranks(dy, weight)
    op.input_gradient(dy, weight, grad_x)
    return out, grad_x


@pytest.mark.parametrize("layout", [SEVERAL, BARE])
def test_output_and_gradient_are_three_bits_off(layout: LoraLayout) -> None:
    x, base, adapters, grad = inputs(layout, tokens=16)
    wanted = op.reference_results(x, base, adapters, layout, grad)
    for got, exact in zip(results(x, weight_of(layout, base, adapters), grad), wanted, strict=False):
        assert relative_error(got, exact) < TOLERANCE


def test_numbers_that_8_bits_hold_are_multiplied_exactly() -> None:
    x, base, adapters, grad = inputs(SEVERAL, tokens=16)
    x, base, grad = (torch.randint(-7, 8, one.shape, device=DEVICE).double() for one in (x, base, grad))
    # With these as the largest of their rows all scales are powers of two; W's go into dy, which keeps to 3 bits so.
    x[:, 0], base[:, 0], grad[:, 0] = 7, 7, 7
    adapters = [torch.zeros_like(one) for one in adapters]
    out, grad_x = results(x, weight_of(SEVERAL, base, adapters), grad)
    torch.testing.assert_close(out.double(), x @ base.T, rtol=0.004, atol=1e-3)
    torch.testing.assert_close(grad_x.double(), grad @ base, rtol=0.004, atol=1e-3)


def test_adapters_are_computed_beside_the_8_bits() -> None:
    x, base, adapters, grad = inputs(SEVERAL, tokens=16)
    with_adapters, without = (weight_of(SEVERAL, base, one) for one in (adapters, [0 * one for one in adapters]))
    zeros = torch.zeros_like(base)
    wanted = op.reference_results(x, zeros, adapters, SEVERAL, grad)
    pairs = zip(results(x, with_adapters, grad), results(x, without, grad), wanted, strict=False)
    for both, base_alone, exact in pairs:
        assert relative_error(both - base_alone, exact) < (1e-6 if torch.float32 == KIND else 0.02)


@pytest.mark.parametrize(("keeps", "spaced"), [(False, False), (True, True)])
def test_ways_of_holding_and_writing_change_nothing(keeps: bool, spaced: bool) -> None:
    x, base, adapters, grad = inputs(SEVERAL, tokens=16)
    usual = results(x, weight_of(SEVERAL, base, adapters), grad)
    other = results(x, weight_of(SEVERAL, base, adapters, keeps=keeps), grad, spaced=spaced)
    for one, same in zip(usual, other, strict=True):
        torch.testing.assert_close(one, same)


def test_products_can_be_added_to_what_is_there() -> None:
    x, base, adapters, _ = inputs(SEVERAL, tokens=16)
    weight, residual = weight_of(SEVERAL, base, adapters), torch.ones(16, SEVERAL.out_features, device=DEVICE).to(KIND)
    out = op.forward(with_ranks(x, SEVERAL), weight, torch.empty_like(residual))
    into = residual.clone()
    added = op.forward(with_ranks(x, SEVERAL), weight, into, residual=into)
    apart = op.forward(with_ranks(x, SEVERAL), weight, torch.empty_like(residual), residual=residual)
    assert added.equal(apart)
    limit = {torch.float32: 1e-6, torch.bfloat16: 4e-3}[KIND]
    assert relative_error(added, out.double() + residual) < limit
