"""The chunked loss equals the reference, outputs and gradients, in double precision."""

import pytest
import torch
from torch import Tensor

from tui_tuner.kernels import linear_cross_entropy as module
from tui_tuner.kernels.linear_cross_entropy import (
    HeadOptions,
    LossSum,
    linear_cross_entropy,
    linear_cross_entropy_reference,
)

OPTIONS = [HeadOptions(), HeadOptions(logit_scale=0.25), HeadOptions(softcap=5.0), HeadOptions(2.0, 30.0)]


def case(rows: int = 37, width: int = 16, vocabulary: int = 101) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(rows)
    hidden = torch.randn(rows, width, generator=generator, requires_grad=True)
    weight = torch.randn(vocabulary, width, generator=generator, requires_grad=True)
    labels = torch.randint(0, vocabulary, (rows,), generator=generator)
    labels[::3] = -100
    return hidden, weight, labels


def gradients(result: LossSum, *tensors: Tensor) -> tuple[Tensor, ...]:
    return torch.autograd.grad(result.loss * 0.5, tensors)


@pytest.mark.parametrize("options", OPTIONS)
def test_loss_and_gradients_equal_the_reference(options: HeadOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK_BYTES", 4 * 101 * 7)
    hidden, weight, labels = case()
    ours, reference = (
        f(hidden, weight, labels, options) for f in (linear_cross_entropy, linear_cross_entropy_reference)
    )
    torch.testing.assert_close(ours.loss, reference.loss)
    assert ours.correct == reference.correct
    torch.testing.assert_close(ours.log_probabilities, reference.log_probabilities)
    for got, wanted in zip(gradients(ours, hidden, weight), gradients(reference, hidden, weight), strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-5)


def test_a_frozen_head_gets_no_gradient() -> None:
    hidden, weight, labels = case()
    result = linear_cross_entropy(hidden, weight.detach(), labels, HeadOptions())
    assert torch.autograd.grad(result.loss, hidden)[0].shape == hidden.shape


def test_no_supervised_row_means_zero_loss() -> None:
    hidden, weight, _ = case()
    result = linear_cross_entropy(hidden, weight, torch.full((37,), -100), HeadOptions())
    assert result.loss.item() == 0.0
    assert gradients(result, hidden)[0].abs().max() == 0.0


def test_huge_logits_stay_finite() -> None:
    hidden, weight, labels = case()
    result = linear_cross_entropy(hidden * 1e4, weight, labels, HeadOptions())
    assert torch.isfinite(result.loss)
