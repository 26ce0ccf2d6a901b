"""The gated product with what adapters around it take from it: the product's own values, and the adapters' by torch."""

import pytest
import torch
from torch import Tensor

from tui_tuner.kernels import gated_product
from tui_tuner.kernels.checking import relative_error
from tui_tuner.kernels.gated_product import Activation
from tui_tuner.kernels.lora import gated_ranks, gated_sums
from tui_tuner.kernels.lora.gated_sums import ThinSum, ThinSums

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
DTYPES = [torch.float32, torch.float16, torch.bfloat16]
ACTIVATIONS: list[Activation] = ["silu", "gelu", "gelu_tanh"]
LIMIT = {torch.float32: 1e-6, torch.float16: 1e-3, torch.bfloat16: 4e-3}

every_dtype = pytest.mark.parametrize("dtype", DTYPES)
every_activation = pytest.mark.parametrize("activation", ACTIVATIONS)


def randn(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed + sum(shape))).to(DEVICE, dtype)


def halves(tokens: int, width: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Of one buffer, with spare columns."""
    both = randn(tokens, 2 * width + 64, dtype=dtype)
    return both[:, :width], both[:, width : 2 * width]


@every_activation
@every_dtype
@pytest.mark.parametrize(("shape", "rank"), [((1, 1), 3), ((40, 130), 16)])
def test_ranks_are_those_of_the_product_and_then_zeros(
    rank: int, shape: tuple[int, int], dtype: torch.dtype, activation: Activation
) -> None:
    (tokens, width), (gate, up) = shape, halves(*shape, dtype)
    buffer, beside = (torch.full((tokens, size), torch.nan, dtype=dtype, device=DEVICE) for size in (width + 64, 80))
    product, ranks, kept = buffer[:, :width], buffer[:, width:], beside[:, 10 : 10 + rank]
    a = randn(rank, width + 5, dtype=dtype)[:, :width]
    gated_ranks.forward_kernel(gate, up, activation, product, a, ranks, kept)
    assert product.equal(gated_product.forward_kernel(gate, up, activation))
    assert relative_error(kept, product.double() @ a.double().T) < LIMIT[dtype]
    assert ranks[:, :rank].equal(kept)
    assert not ranks[:, rank:].any()
    assert beside.isnan().sum() == tokens * (80 - rank)


@pytest.mark.parametrize("programs", [3, 6, 100])
def test_parts_of_some_tiles_each_add_up(monkeypatch: pytest.MonkeyPatch, programs: int) -> None:
    monkeypatch.setattr(gated_ranks, "PROGRAMS", programs)
    (gate, up), a = halves(40, 700, torch.float32), randn(64, 700)
    product, ranks = torch.empty_like(gate), torch.empty(40, 64, device=DEVICE)
    gated_ranks.forward_kernel(gate, up, "silu", product, a, ranks, None)
    assert product.equal(gated_product.forward_kernel(gate, up, "silu"))
    assert relative_error(ranks, product.double() @ a.double().T) < LIMIT[torch.float32]


@every_activation
@every_dtype
@pytest.mark.parametrize("ranks", [(16, 8, 4), (0, 3, 0)])
def test_sums_in_every_type(ranks: tuple[int, int, int], dtype: torch.dtype, activation: Activation) -> None:
    assert_sums(ranks, (40, 70), dtype, activation)


@pytest.mark.parametrize("ranks", [(16, 0, 64), (1, 1, 0)])
@pytest.mark.parametrize("shape", [(1, 1), (150, 70)])
def test_sums_of_several_parts(ranks: tuple[int, int, int], shape: tuple[int, int]) -> None:
    assert_sums(ranks, shape, torch.float32, "silu")


def assert_sums(
    ranks: tuple[int, int, int], shape: tuple[int, int], dtype: torch.dtype, activation: Activation
) -> None:
    (tokens, width), (gate, up), grad = shape, halves(*shape, dtype), randn(*shape, dtype=dtype, seed=1)
    made = gated_product.new_gradients(grad, with_product=True)
    gated_product.backward_kernel(grad, gate, up, activation, made)
    assert made.product is not None
    sums, wanted = [], []
    for index, (rank, factor) in enumerate(zip(ranks, (made.product, made.gate, made.up), strict=True)):
        # Beside columns of somebody else, and like B with the ranks in its rows.
        known = torch.full((tokens, rank + 2), torch.nan, dtype=dtype, device=DEVICE)
        known[:, 1:-1] = randn(tokens, rank, dtype=dtype, seed=index)
        place = torch.ones(rank, width, device=DEVICE) if index == 0 else torch.ones(width, rank, device=DEVICE).T
        sums.append(ThinSum(known[:, 1:-1], place, 0.5 + index) if rank else None)
        wanted.append(1.0 + (0.5 + index) * (known[:, 1:-1].double().T @ factor.double()))
    gated_sums.backward_kernel(grad, gate, up, activation, ThinSums(*sums))
    assert gate.equal(made.gate)
    assert up.equal(made.up)
    for one, exact in zip(sums, wanted, strict=True):
        assert one is None or relative_error(one.gradient, exact) < 1e-5


def test_no_adapter_has_no_rank() -> None:
    assert ThinSums(None, None, None).rank == 0


def test_more_ranks_than_a_kernel_takes_are_refused() -> None:
    gate, up = halves(3, 20, torch.float32)
    wide, narrow = randn(65, 20), torch.empty(3, 65, device=DEVICE)
    with pytest.raises(ValueError, match="rank 65"):
        gated_ranks.forward(gate, up, "silu", torch.empty_like(gate), wide, narrow, None)
    with pytest.raises(ValueError, match="rank 65"):
        gated_sums.backward(gate, gate, up, "silu", ThinSums(None, ThinSum(narrow, wide), None))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_references_do_the_same_by_products_of_torch(dtype: torch.dtype) -> None:
    gate, up = halves(70, 100, dtype)
    grad, ranks, a = randn(70, 100, dtype=dtype), randn(70, 16, dtype=dtype), randn(16, 100, dtype=dtype)
    product, filled, kept = torch.empty_like(grad), randn(70, 20, dtype=dtype), torch.empty_like(ranks)
    gated_ranks.forward_reference(gate, up, "silu", product, a, filled, kept)
    assert product.equal(gated_product.forward_reference(gate, up, "silu"))
    torch.testing.assert_close(kept, product @ a.T)
    assert filled.equal(torch.cat((kept, torch.zeros(70, 4, dtype=dtype, device=DEVICE)), dim=1))
    wanted = [torch.zeros(16, 100, dtype=dtype, device=DEVICE) for _ in range(3)]
    totals = [torch.zeros_like(one) for one in wanted]
    made = gated_product.new_gradients(grad, with_product=True)
    gated_product.backward_reference(grad, gate, up, "silu", made)
    assert made.product is not None
    gated_sums.backward_reference(grad, gate, up, "silu", ThinSums(*(ThinSum(ranks, one, 2.0) for one in totals)))
    for got, factor in zip(totals, (made.product, made.gate, made.up), strict=True):
        torch.testing.assert_close(got, 2.0 * ranks.T @ factor)
    assert gate.equal(made.gate)
    assert up.equal(made.up)
