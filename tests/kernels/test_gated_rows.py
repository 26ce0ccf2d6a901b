"""The gated product that quantises as it goes: the values of the one that does not, and the bytes for them."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tui_tuner.kernels import gated_product, gated_rows, rms_norm
from tui_tuner.kernels.fp8_rows import Fp8Rows, empty_rows, quantize_rows_reference
from tui_tuner.kernels.gated_product import Activation, GatedGradients
from tui_tuner.kernels.rms_norm import Into, Norm, Normed

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
ACTIVATIONS: list[Activation] = ["silu", "gelu", "gelu_tanh"]
DTYPES = [torch.float32, torch.bfloat16]
WIDTHS = [48, 2064]


def randn(*shape: int, dtype: torch.dtype, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed + sum(shape))).to(DEVICE, dtype)


def assert_same_bytes(got: Fp8Rows, wanted: Fp8Rows) -> None:
    assert got.scales.equal(wanted.scales)
    assert got.values.float().equal(wanted.values.float())


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", WIDTHS)
def test_forward(activation: Activation, dtype: torch.dtype, width: int) -> None:
    gate, up = randn(3, 2 * width, dtype=dtype).split(width, dim=1)
    product = torch.empty(3, width + 16, dtype=dtype, device=DEVICE)[:, :width]
    eight = empty_rows(product)
    gated_rows.forward_kernel(gate, up, activation, product, eight)
    assert product.equal(gated_product.forward_kernel(gate, up, activation))
    assert_same_bytes(eight, quantize_rows_reference(product))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", WIDTHS)
def test_backward_over_what_it_reads(dtype: torch.dtype, width: int) -> None:
    grad, both = randn(3, width, dtype=dtype), randn(3, 2 * width, dtype=dtype, seed=1)
    factors = torch.linspace(0.01, 2, 2 * width, device=DEVICE)
    plain = gated_product.new_gradients(grad, with_product=True)
    gate, up = both.split(width, dim=1)
    gated_product.backward_kernel(grad, gate, up, "silu", plain)
    eight = empty_rows(both)
    gated_rows.backward_kernel(grad, gate, up, "silu", GatedGradients(gate, up, grad), factors, eight)
    assert plain.product is not None
    assert (gate.equal(plain.gate), up.equal(plain.up), grad.equal(plain.product)) == (True, True, True)
    assert_same_bytes(eight, quantize_rows_reference(both, factors))


@pytest.mark.parametrize("width", WIDTHS)
def test_references_give_the_bytes_of_what_they_write(width: int) -> None:
    grad, both = randn(3, width, dtype=torch.float32), randn(3, 2 * width, dtype=torch.float32)
    (gate, up), factors = both.split(width, dim=1), torch.linspace(0.01, 2, 2 * width, device=DEVICE)
    product, eight, eights = torch.empty_like(grad), empty_rows(grad), empty_rows(both)
    gated_rows.forward_reference(gate, up, "silu", product, eight)
    assert_same_bytes(eight, quantize_rows_reference(product))
    gated_rows.backward_reference(grad, gate, up, "silu", GatedGradients(gate, up, None), factors, eights)
    assert_same_bytes(eights, quantize_rows_reference(both, factors))


@pytest.mark.parametrize("run", [rms_norm.forward_kernel, rms_norm.forward_reference])
@pytest.mark.parametrize("width", [64, 1000])
def test_a_norm_quantises_its_output(run: Callable[..., Normed], width: int) -> None:
    x, weight = randn(5, width, dtype=torch.bfloat16), randn(width, dtype=torch.bfloat16, seed=1)
    eight = empty_rows(x)
    result = run(x, weight, Norm(1e-6), x, Into(eight=eight))
    assert_same_bytes(eight, quantize_rows_reference(result.output))
