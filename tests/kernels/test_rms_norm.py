"""RMSNorm: kernel and reference, outputs and gradients, beside float64 and beside transformers."""

import pytest
import torch
from torch import Tensor
from transformers.models.cohere2.modeling_cohere2 import Cohere2LayerNorm
from transformers.models.gemma2.modeling_gemma2 import Gemma2RMSNorm
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from tui_tuner.kernels import rms_norm as op
from tui_tuner.kernels.rms_norm import Norm, Normed, Style

SHAPES = [(1, 64), (3, 896), (5, 1000), (7, 3, 64), (2, 5, 96)]
STYLES: list[Style] = ["llama", "gemma", "layer"]


def randn(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed + sum(shape))).to(dtype)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_kernel_computes_what_float64_does(shape: tuple[int, ...], style: Style) -> None:
    norm = Norm(1e-6, style)
    x, grad, weight = randn(*shape), randn(*shape, seed=1), randn(shape[-1])
    result = op.forward_kernel(x, weight, norm)
    gradients = op.backward_kernel(grad, result, weight, norm, trains_weight=True)
    assert gradients.weight is not None
    exact = op.eager(x, weight, grad, norm, torch.float64)
    for got, wanted in zip((result.output, gradients.x, gradients.weight), exact, strict=True):
        torch.testing.assert_close(got.double(), wanted, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("style", STYLES)
def test_the_written_gradients_are_those_of_autograd(style: Style) -> None:
    x, delta, weight = (randn(*shape).double().requires_grad_() for shape in ((4, 6), (2, 2, 6), (6,)))
    norm = Norm(1e-3, style)
    assert torch.autograd.gradcheck(lambda x, d, w: op.add_rms_norm(x, d.view(4, 6), w, norm), (x, delta, weight))
    assert torch.autograd.gradcheck(lambda x, w: op.rms_norm(x, w, norm), (x, weight))


def test_the_residual_is_added_and_its_gradient_too() -> None:
    norm, weight = Norm(1e-6), randn(128)
    x, delta, grad, grad_sum = (randn(5, 128, seed=seed) for seed in range(4))
    result = op.forward_kernel(x, weight, norm, delta)
    torch.testing.assert_close(result.summed, x + delta)
    _, dx, _ = op.eager(x + delta, weight, grad, norm, torch.float64)
    gradients = op.backward_kernel(grad, result, weight, norm, grad_sum, grad_x=grad_sum)
    assert gradients.x is grad_sum
    torch.testing.assert_close(gradients.x.double(), dx + randn(5, 128, seed=3).double(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize(
    ("style", "theirs"), [("llama", LlamaRMSNorm), ("gemma", Gemma2RMSNorm), ("layer", Cohere2LayerNorm)]
)
def test_it_rounds_as_transformers_does(dtype: torch.dtype, style: Style, theirs: type) -> None:
    module = theirs(896, eps=1e-5).to(dtype)
    module.weight.data.copy_(randn(896, dtype=dtype))
    x = randn(9, 896, dtype=dtype)
    got = op.forward_kernel(x, module.weight.data, Norm(1e-5, style)).output
    assert (got == module(x)).float().mean() > 0.999
    torch.testing.assert_close(got, module(x), rtol=2**-7, atol=0)


def test_views_of_larger_buffers_are_read_and_written() -> None:
    buffer, wide_output = randn(6, 4 * 64), torch.zeros(6, 2 * 64 + 8)
    heads, weight = buffer[:, 64:192].view(6, 2, 64), randn(64)
    op.forward_kernel(heads, weight, Norm(1e-6), into=op.Into(output=wide_output[:, :128].view(6, 2, 64)))
    torch.testing.assert_close(
        wide_output[:, :128], op.forward_reference(heads, weight, Norm(1e-6)).output.reshape(6, 128)
    )
    assert not wide_output[:, 128:].any()


def test_backward_writes_the_output_once_more() -> None:
    x, weight, norm, again = randn(5, 100), randn(100), Norm(1e-6), torch.zeros(5, 100)
    result = op.forward_kernel(x, weight, norm)
    op.backward_kernel(x, Normed(x, result.rstd, x), weight, norm, output=again)
    assert torch.equal(again, result.output)
