"""The gated product with what adapters take from it, compiled: 16-bit types, odd shapes, huge tensors, equal bits."""

import pytest
import torch
from torch import Tensor

from tui_tuner.kernels import gated_product
from tui_tuner.kernels.checking import check_against
from tui_tuner.kernels.gated_product import Activation
from tui_tuner.kernels.lora import gated_ranks, gated_sums
from tui_tuner.kernels.lora.gated_sums import ThinSum, ThinSums

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU; none is visible"),
]
GPU = torch.device("cuda")
DTYPES = [torch.bfloat16, torch.float16]
SHAPES = [(1, 1), (77, 4864), (3, 1001), (4100, 6000)]


def randn(*shape: int, dtype: torch.dtype = torch.bfloat16, seed: int = 0) -> Tensor:
    generator = torch.Generator(GPU).manual_seed(seed + sum(shape))
    return torch.randn(*shape, generator=generator, device=GPU).to(dtype)


def some_sums(ranks: Tensor, width: int, rank: int) -> ThinSums:
    """A of what reads the product [rank, F], B of gate and up [F, rank]."""
    places = (torch.zeros(rank, width, device=GPU), *(torch.zeros(width, rank, device=GPU).T for _ in range(2)))
    return ThinSums(*(ThinSum(one, place, 2.0) for one, place in zip(ranks.split(rank, dim=1), places, strict=True)))


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: str(dtype)[6:])
@pytest.mark.parametrize("activation", ["silu", "gelu", "gelu_tanh"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("rank", [5, 16, 64])
def test_ranks_and_sums_are_as_near_to_float64_as_those_of_torch(
    rank: int, shape: tuple[int, int], activation: Activation, dtype: torch.dtype
) -> None:
    tokens, width = shape
    gate, up = randn(tokens, 2 * width + 64, dtype=dtype)[:, : 2 * width].split(width, dim=1)
    grad, ranks, a = randn(*shape, dtype=dtype), randn(tokens, 3 * rank, dtype=dtype), randn(rank, width, dtype=dtype)
    made = gated_product.new_gradients(grad, with_product=True)
    gated_product.backward(grad, gate, up, activation, made)
    product, filled = torch.empty_like(grad), torch.full((tokens, 64), torch.nan, dtype=dtype, device=GPU)
    gated_ranks.forward(gate, up, activation, product, a, filled, None)
    assert product.equal(gated_product.forward(gate, up, activation))
    assert check_against("t", filled[:, :rank], product.double() @ a.double().T, product @ a.T).passed
    assert not filled[:, rank:].any()

    sums = some_sums(ranks, width, rank)
    gated_sums.backward(grad, gate, up, activation, sums)
    assert gate.equal(made.gate)
    assert up.equal(made.up)
    for one, factor in zip(sums.all, (made.product, made.gate, made.up), strict=True):
        assert one is not None
        assert factor is not None
        exact, usual = (2.0 * (one.ranks.to(kind).T @ factor.to(kind)) for kind in (torch.float64, dtype))
        assert check_against("sum", one.gradient.to(dtype), exact, usual).passed


def test_the_same_bits_come_out_twice() -> None:
    results = []
    for _ in range(2):
        gate, up = randn(4096, 2 * 4864).split(4864, dim=1)
        grad, ranks, a = randn(4096, 4864), randn(4096, 48), randn(16, 4864)
        product, filled, sums = torch.empty_like(grad), torch.empty_like(ranks), some_sums(ranks, 4864, 16)
        gated_ranks.forward(gate, up, "silu", product, a, filled, None)
        gated_sums.backward(grad, gate, up, "silu", sums)
        results.append([filled, *(one.gradient for one in sums.all if one is not None)])
    assert all(first.equal(second) for first, second in zip(*results, strict=True))


def test_they_reach_elements_beyond_two_to_the_31() -> None:
    tokens, width, last = 2**31 // 28672 + 100, 14336, slice(-50, None)
    gate, up = torch.zeros(tokens, 2 * width, dtype=torch.bfloat16, device=GPU).split(width, dim=1)
    gate[last], up[last] = randn(50, width), randn(50, width, seed=1)
    grad, ranks, a = torch.ones_like(gate), randn(tokens, 48), randn(16, width)
    product, filled = torch.empty_like(grad), torch.empty_like(ranks)
    gated_ranks.forward(gate, up, "silu", product, a, filled, None)
    wanted = gated_product.forward(gate[last], up[last], "silu")
    assert product[last].equal(wanted)
    assert check_against("t", filled[last, :16], wanted.double() @ a.double().T, wanted @ a.T).passed
    made = gated_product.new_gradients(gate[last], with_product=True)
    gated_product.backward(grad[last], gate[last], up[last], "silu", made)
    sums = some_sums(ranks, width, 16)
    gated_sums.backward(grad, gate, up, "silu", sums)
    assert gate[last].equal(made.gate)
    assert up[last].equal(made.up)
    assert sums.product is not None
    # Elsewhere the product is 0.
    exact = 2.0 * (sums.product.ranks[last].double().T @ wanted.double())
    torch.testing.assert_close(sums.product.gradient.double(), exact, rtol=1e-4, atol=1e-3)
