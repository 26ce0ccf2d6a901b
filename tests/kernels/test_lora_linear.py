"""LoRA folded into the products: equal to PEFT's formula, for one projection and for several that share an input."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tui_tuner.kernels.checking import relative_error
from tui_tuner.kernels.lora import linear as op
from tui_tuner.kernels.lora.gradients import add_adapter_gradients, add_adapter_gradients_reference
from tui_tuner.kernels.lora.layout import (
    Extended,
    GradientPlaces,
    LoraLayout,
    LoraWeight,
    Projection,
    empty_weight,
    gradient_places,
)

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
ONE = LoraLayout(24, (Projection(40, 4, 2.0),))
SEVERAL = LoraLayout(32, (Projection(48, 4, 2.0), Projection(16, 3, 0.5), Projection(16, 5, 1.0)))
SOME = LoraLayout(32, (Projection(20, 4, 2.0), Projection(12, 0), Projection(12, 5)))
LAYOUTS = [ONE, SEVERAL, SOME]


def randn(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(sum(shape) + seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(DEVICE)


def inputs(layout: LoraLayout, tokens: int = 7) -> tuple[Tensor, Tensor, list[Tensor], Tensor]:
    adapters = [
        randn(*shape) for p in layout.projections for shape in ((p.rank, layout.in_features), (p.out_features, p.rank))
    ]
    grad = randn(tokens, layout.out_features, seed=1)
    return randn(tokens, layout.in_features), randn(layout.out_features, layout.in_features), adapters, grad


def filled(layout: LoraLayout, base: Tensor, adapters: list[Tensor], bias: Tensor | None = None) -> LoraWeight:
    weight = empty_weight(layout, base.dtype, DEVICE, bias)
    weight.base.copy_(base)
    for index, projection in enumerate(layout.projections):
        weight.a_of(index).copy_(adapters[2 * index])
        weight.b_of(index).copy_(adapters[2 * index + 1] * projection.scaling)
    return weight


def places(layout: LoraLayout, dtype: torch.dtype = torch.float64) -> GradientPlaces:
    starts, end = [], 3
    for projection in layout.projections:
        a_end = end + projection.rank * layout.in_features + 5
        starts.append((end, a_end))
        end = a_end + projection.rank * projection.out_features + 5
    return gradient_places(layout, torch.zeros(end, dtype=dtype, device=DEVICE), tuple(starts))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_output_and_gradients_are_those_of_autograd_through_pefts_formula(layout: LoraLayout) -> None:
    x, base, adapters, grad = inputs(layout)
    for got, wanted in zip(
        op.fused_results(x, base, adapters, layout, grad),
        op.reference_results(x, base, adapters, layout, grad),
        strict=True,
    ):
        torch.testing.assert_close(got, wanted)


def joined(wide: Tensor, layout: LoraLayout) -> Extended:
    """A copy with spare columns full of numbers that nobody may read."""
    return Extended.of(torch.cat((wide, randn(len(wide), layout.padded_rank)), 1), wide.shape[1])


def apart(wide: Tensor, layout: LoraLayout) -> Extended:
    return Extended(wide, randn(len(wide), layout.padded_rank))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_tensors_with_and_without_spare_columns_give_the_same(layout: LoraLayout) -> None:
    x, base, adapters, grad = inputs(layout)
    weight = filled(layout, base, adapters, bias=randn(layout.out_features, seed=2))
    results = []
    for extend in (joined, apart):
        inner, outer = extend(x, layout), extend(grad, layout)
        out, dx, target = torch.empty_like(grad), torch.empty_like(x), places(layout)
        op.forward(inner, weight, out)
        op.backward(outer, inner, weight, target, dx)
        results.append((out, dx, target.flat))
    torch.testing.assert_close(*results)


@pytest.mark.parametrize("extend", [joined, apart])
def test_without_any_adapter_it_is_the_base_layer(extend: Callable[[Tensor, LoraLayout], Extended]) -> None:
    layout = LoraLayout(24, (Projection(40, 0),))
    x, base, adapters, grad = inputs(layout)
    weight, inner, dx = filled(layout, base, adapters), extend(x, layout), torch.empty_like(x)
    torch.testing.assert_close(op.forward(inner, weight, torch.empty_like(grad)), x @ base.T)
    op.backward(extend(grad, layout), inner, weight, places(layout), dx)
    torch.testing.assert_close(dx, grad @ base)


@pytest.mark.parametrize("extend", [joined, apart])
def test_adding_to_what_is_there_adds_the_bias_too(extend: Callable[[Tensor, LoraLayout], Extended]) -> None:
    x, base, adapters, grad = inputs(ONE)
    weight = filled(ONE, base, adapters, bias=randn(40, seed=2))
    alone = op.forward(extend(x, ONE), weight, torch.empty_like(grad))
    torch.testing.assert_close(op.forward(extend(x, ONE), weight, torch.empty_like(grad), residual=grad), grad + alone)


def test_the_gradient_of_the_input_may_be_added_and_may_be_left_out() -> None:
    x, base, adapters, grad = inputs(SEVERAL)
    weight, inner = filled(SEVERAL, base, adapters), joined(x, SEVERAL)
    op.forward(inner, weight, torch.empty_like(grad))
    alone, added, kept = torch.empty_like(x), x.clone(), places(SEVERAL)
    op.backward(joined(grad, SEVERAL), inner, weight, places(SEVERAL), alone)
    op.backward(joined(grad, SEVERAL), inner, weight, places(SEVERAL), added, add=True)
    op.backward(joined(grad, SEVERAL), inner, weight, kept, None)
    torch.testing.assert_close(added, x + alone)
    assert kept.flat.abs().max() > 0


def test_gradients_add_up_over_calls() -> None:
    x, base, adapters, grad = inputs(SEVERAL)
    weight, twice, once = filled(SEVERAL, base, adapters), places(SEVERAL), places(SEVERAL)
    inner = Extended(x, x @ weight.a.T)
    for target in (twice, twice, once):
        op.backward(joined(grad, SEVERAL), inner, weight, target, None)
    torch.testing.assert_close(twice.flat, 2 * once.flat)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("tokens", [1, 63, 700])
def test_gradients_of_16_bit_factors_are_added_in_float32(layout: LoraLayout, tokens: int, dtype: torch.dtype) -> None:
    wide = [randn(tokens, size + layout.padded_rank).to(dtype) for size in (layout.out_features, layout.in_features)]
    ours, exact = places(layout, torch.float32), places(layout)
    for run, target, kind in (
        (add_adapter_gradients, ours, dtype),
        (add_adapter_gradients_reference, exact, torch.float64),
    ):
        run(
            Extended.of(wide[0].to(kind), layout.out_features),
            Extended.of(wide[1].to(kind), layout.in_features),
            target,
        )
    assert relative_error(ours.flat, exact.flat) < 1e-6
    assert (ours.flat != 0).equal(exact.flat != 0)


def test_ranks_are_rounded_up_to_whole_lines() -> None:
    assert [layout.padded_rank for layout in (ONE, SEVERAL)] == [64, 64]
    assert LoraLayout(8, (Projection(8, 33), Projection(8, 32))).padded_rank == 128
