"""A product of few columns added in place: as torch adds it, whatever lies how."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tui_tuner.kernels.checking import relative_error
from tui_tuner.kernels.lora.thin_product import add_kernel, add_reference

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def randn(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed + sum(shape))).to(DEVICE, dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("shape", [(3, 5, 40), (70, 16, 300), (64, 48, 256)])
def test_it_rounds_once(dtype: torch.dtype, shape: tuple[int, int, int]) -> None:
    tokens, ranks, features = shape
    total, left = randn(tokens, features, dtype=dtype), randn(tokens, ranks, dtype=dtype)
    right = randn(ranks, features, dtype=dtype, seed=1)
    exact = total.double() + left.double() @ right.double()
    limit = {torch.float32: 1e-6, torch.float16: 4e-4, torch.bfloat16: 3e-3}[dtype]
    assert relative_error(add_kernel(total, left, right, total), exact) < limit


def test_rows_may_be_spaced_and_the_right_side_transposed() -> None:
    total, left, right = randn(9, 80)[:, :70], randn(9, 64)[:, :20], randn(70, 64)[:, :20].T
    wanted = total.addmm(left, right)
    torch.testing.assert_close(add_kernel(total, left, right, total), wanted)


@pytest.mark.parametrize("add", [add_kernel, add_reference])
@pytest.mark.parametrize("ranks", [0, 20])
def test_the_sum_may_go_to_a_residual(add: Callable[..., Tensor], ranks: int) -> None:
    total, left, right, residual = randn(9, 70), randn(9, ranks), randn(ranks, 70), randn(9, 80, seed=2)[:, :70]
    wanted = total + left @ right
    torch.testing.assert_close(add(total, left, right, torch.empty_like(total)), wanted)
    wanted = wanted + residual
    torch.testing.assert_close(add(total, left, right, residual, residual), wanted)


@pytest.mark.parametrize("add", [add_kernel, add_reference])
@pytest.mark.parametrize("ranks", [0, 20])
def test_rows_may_have_scales_of_their_own(add: Callable[..., Tensor], ranks: int) -> None:
    total, left, right, residual = randn(70, 9).T, randn(9, ranks), randn(ranks, 70), randn(9, 70, seed=2)
    total, scales = total.contiguous(), randn(9, 1, seed=3).abs() + 0.1
    wanted = total * scales + left @ right
    torch.testing.assert_close(add(total, left, right, torch.empty_like(total), scales=scales), wanted)
    wanted = wanted + residual
    torch.testing.assert_close(add(total, left, right, residual, residual, scales), wanted)
