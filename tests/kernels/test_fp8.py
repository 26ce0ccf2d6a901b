"""8-bit floats: quantising row by row, and what the products lose. Hardware products are tested in tests/gpu."""

from collections.abc import Callable

import pytest
import torch

from tui_tuner.kernels.checking import relative_error
from tui_tuner.kernels.fp8 import backward, forward, is_supported, quantized_weight, transpose_kernel
from tui_tuner.kernels.fp8_rows import DTYPE, Fp8Rows, dequantize_rows, quantize_rows_kernel, quantize_rows_reference

Quantize = Callable[..., Fp8Rows]
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def randn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def read(rows: Fp8Rows) -> torch.Tensor:
    return rows.values.float() * rows.scales


@pytest.mark.parametrize("columns", [1, 100, 4096, 20000])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_the_kernel_gives_the_bytes_of_the_reference(columns: int, dtype: torch.dtype) -> None:
    x = randn(3, columns + 5).to(DEVICE, dtype)[:, :columns]
    ours, wanted = quantize_rows_kernel(x), quantize_rows_reference(x)
    assert ours.scales.equal(wanted.scales)
    assert ours.values.float().equal(wanted.values.float())


@pytest.mark.parametrize("quantize", [quantize_rows_kernel, quantize_rows_reference])
def test_factors_of_the_columns_are_multiplied_in_first(quantize: Quantize) -> None:
    x, factors = randn(4, 300).to(DEVICE), torch.linspace(0.1, 9, 300, device=DEVICE)
    assert quantize(x, factors).scales.equal(quantize(x * factors).scales)


@pytest.mark.parametrize("quantize", [quantize_rows_kernel, quantize_rows_reference])
def test_a_row_of_zeros_stays_zero(quantize: Quantize) -> None:
    assert read(quantize(torch.zeros(2, 64, device=DEVICE))).abs().max() == 0.0


@pytest.mark.parametrize("keep_transposed", [True, False])
def test_products_lose_no_more_than_three_bits_cost(keep_transposed: bool) -> None:
    w, x = randn(48, 64), randn(5, 64)
    weight = quantized_weight(w, keep_transposed=keep_transposed)
    out = forward(quantize_rows_reference(x), weight, torch.empty(5, 48))
    rows = quantize_rows_reference(out, weight.column_factors)
    grad = backward(rows, weight, torch.empty(5, 64), torch.empty(64, 48, dtype=DTYPE))
    assert relative_error(out, x @ w.T) < 0.05
    assert relative_error(grad * rows.scales, out @ w) < 0.05


def test_dimensions_that_are_no_multiples_of_16_are_refused() -> None:
    with pytest.raises(ValueError, match="multiples of 16"):
        quantized_weight(randn(48, 60), keep_transposed=False)


def test_a_cpu_does_not_multiply_them() -> None:
    assert not is_supported(torch.device("cpu"))


@pytest.mark.parametrize("shape", [(16, 16), (128, 256), (200, 48)])
def test_bytes_are_turned(shape: tuple[int, int]) -> None:
    source = torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(1)).to(DEVICE, torch.uint8)
    target = torch.empty(shape[::-1], dtype=torch.uint8, device=DEVICE)
    transpose_kernel(source, target)
    assert target.equal(source.t())


def test_a_weight_read_back_is_three_bits_off() -> None:
    w = randn(48, 64)
    assert 0.01 < relative_error(dequantize_rows(quantize_rows_reference(w), torch.float32), w) < 0.04


def test_a_bias_is_added_in_full() -> None:
    weight, x, bias = (
        quantized_weight(randn(48, 64), keep_transposed=False),
        quantize_rows_reference(randn(5, 64)),
        randn(48),
    )
    plain, shifted = (forward(x, weight, torch.empty(5, 48), one) for one in (None, bias))
    torch.testing.assert_close(shifted, plain + bias)
