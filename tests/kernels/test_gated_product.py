"""SwiGLU and GEGLU: kernel and reference, outputs and gradients, beside float64 and beside eager code."""

from typing import get_args

import pytest
import torch
from torch import Tensor

from tui_tuner.kernels import gated_product as op
from tui_tuner.kernels.gated_product import Activation, GatedGradients

ACTIVATIONS: tuple[Activation, ...] = get_args(Activation)
# sigmoid(-100) is 0 by way of exp(100), which numpy remarks on.
pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered in exp")
every_activation = pytest.mark.parametrize("activation", ACTIVATIONS)


def randn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return (4.0 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed + sum(shape)))).to(dtype)


@every_activation
@pytest.mark.parametrize("shape", [(1, 1), (3, 1000), (2, 2500)])
def test_the_kernel_computes_what_float64_does(shape: tuple[int, int], activation: Activation) -> None:
    gate, up, grad = (randn(*shape, seed=seed) for seed in range(3))
    into = op.new_gradients(gate, with_product=True)
    op.backward_kernel(grad, gate, up, activation, into)
    assert into.product is not None
    assert torch.equal(into.product, op.forward_kernel(gate, up, activation))
    exact = op.eager(gate, up, grad, activation, torch.float64)
    for got, wanted in zip((into.product, into.gate, into.up), exact, strict=True):
        torch.testing.assert_close(got.double(), wanted, rtol=1e-5, atol=1e-5)


@every_activation
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_it_rounds_as_eager_code_does(dtype: torch.dtype, activation: Activation) -> None:
    gate, up, grad = (randn(4, 1024, seed=seed, dtype=dtype) for seed in range(3))
    got, wanted = op.forward_kernel(gate, up, activation), op.forward_reference(gate, up, activation)
    torch.testing.assert_close(got, wanted, rtol=2 * torch.finfo(dtype).eps, atol=1e-4)
    into = op.new_gradients(gate, with_product=False)
    op.backward_kernel(grad, gate, up, activation, into)
    exact = op.eager(gate, up, grad, activation, torch.float64)[1:]
    for ours, in_double in zip((into.gate, into.up), exact, strict=True):
        torch.testing.assert_close(ours.double(), in_double, rtol=2**-7, atol=1e-4)


@every_activation
def test_the_written_gradients_are_those_of_autograd(activation: Activation) -> None:
    gate, up = (randn(2, 3, 5, seed=seed).double().requires_grad_() for seed in range(2))
    assert torch.autograd.gradcheck(lambda gate, up: op.gated_product(gate, up, activation), (gate, up))


def test_backward_may_write_over_all_that_it_reads() -> None:
    both, grad = randn(3, 2 * 1100), randn(3, 1100, seed=1)
    gate, up = both[:, :1100], both[:, 1100:]
    wanted = op.eager(gate, up, grad, "silu", torch.float64)
    op.backward_kernel(grad, gate, up, "silu", GatedGradients(gate, up, grad))
    for got, expected in zip((grad, gate, up), wanted, strict=True):
        torch.testing.assert_close(got.double(), expected, rtol=1e-5, atol=1e-5)


def test_the_product_may_be_part_of_a_wider_buffer() -> None:
    gate, up, wider = randn(3, 100), randn(3, 100, seed=1), torch.zeros(3, 164)
    op.forward_kernel(gate, up, "silu", product=wider[:, :100])
    torch.testing.assert_close(wider[:, :100], op.forward_reference(gate, up, "silu"))
    assert not wider[:, 100:].any()
