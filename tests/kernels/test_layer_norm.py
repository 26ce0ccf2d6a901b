"""LayerNorm: kernel and reference, outputs and gradients, beside float64."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tui_tuner.kernels import layer_norm as op


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed + sum(shape)))


@pytest.mark.parametrize("shape", [(1, 64), (7, 1000), (5, 896)])
@pytest.mark.parametrize("has_bias", [True, False])
def test_the_kernel_computes_what_float64_does(shape: tuple[int, int], has_bias: bool) -> None:
    x, grad, weight = randn(*shape), randn(*shape, seed=1), randn(shape[1])
    bias = randn(shape[1], seed=2) if has_bias else None
    inputs = [tensor.double().requires_grad_() for tensor in (x, weight, *([] if bias is None else [bias]))]
    output = functional.layer_norm(inputs[0], shape[1:], inputs[1], inputs[2] if has_bias else None, 1e-5)
    result = op.forward_kernel(x, weight, bias, 1e-5)
    gradients = op.backward_kernel(grad, x, result, weight, trains=True)
    got = (result.output, gradients.x, gradients.weight, gradients.bias)
    for ours, wanted in zip(got, (output, *torch.autograd.grad(output, inputs, grad.double())), strict=False):
        assert ours is not None
        torch.testing.assert_close(ours.double(), wanted, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_it_is_rounded_once(dtype: torch.dtype) -> None:
    x, weight, bias = randn(9, 896).to(dtype), randn(896).to(dtype), randn(896, seed=1).to(dtype)
    wanted = functional.layer_norm(x.double(), (896,), weight.double(), bias.double(), 1e-5).to(dtype)
    assert (op.forward_kernel(x, weight, bias, 1e-5).output == wanted).float().mean() > 0.999


def test_the_written_gradients_are_those_of_autograd() -> None:
    x, weight, bias = (tensor.double().requires_grad_() for tensor in (randn(2, 3, 6), randn(6), randn(6, seed=1)))
    assert torch.autograd.gradcheck(lambda x, w, b: op.layer_norm(x, w, b, 1e-3), (x, weight, bias))


def test_the_gradient_may_be_written_over_the_incoming_one_and_rows_may_have_gaps() -> None:
    buffer, grad, weight = randn(5, 300), randn(5, 100, seed=1), randn(100)
    x = buffer[:, 100:200]
    saved = op.forward_kernel(x, weight, None, 1e-5)
    wanted = op.backward_reference(grad, x, saved, weight, trains=False).x
    torch.testing.assert_close(
        op.backward_kernel(grad, x, saved, weight, trains=False, grad_x=grad).x, wanted, rtol=1e-5, atol=1e-5
    )
    torch.testing.assert_close(grad, wanted, rtol=1e-5, atol=1e-5)
