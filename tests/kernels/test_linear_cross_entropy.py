"""The chunked loss equals the reference, outputs and gradients, in double precision."""

import pytest
import torch
from torch import Tensor

from tui_tuner.kernels import linear_cross_entropy as module
from tui_tuner.kernels.checking import relative_error
from tui_tuner.kernels.linear_cross_entropy import (
    Head,
    HeadGradients,
    HeadOptions,
    LossSum,
    chunk_rows,
    gather_rows_kernel,
    gather_rows_reference,
    head_loss,
    linear_cross_entropy,
    linear_cross_entropy_reference,
)

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
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


@pytest.mark.parametrize("rows", [24, 30, 37, 50])
def test_a_bound_on_the_rows_gives_the_same_sums(rows: int) -> None:
    hidden, weight, labels = case()
    counted = linear_cross_entropy(hidden, weight, labels, HeadOptions())
    bounded = linear_cross_entropy(hidden, weight, labels, HeadOptions(), rows=rows)
    torch.testing.assert_close(bounded.loss, counted.loss)
    assert bounded.correct == counted.correct
    for got, wanted in zip(gradients(bounded, hidden, weight), gradients(counted, hidden, weight), strict=True):
        torch.testing.assert_close(got, wanted)


@pytest.mark.parametrize("tokens", [1, 37, 9001])
@pytest.mark.parametrize("rows", [1, 24, 8000])
def test_kernel_and_reference_gather_the_same_rows(tokens: int, rows: int) -> None:
    labels = torch.randint(0, 9, (2 * tokens,), generator=torch.Generator().manual_seed(tokens))[::2]
    labels = torch.where(labels < 4, -100, labels).to(DEVICE)
    got, wanted = gather_rows_kernel(labels, rows), gather_rows_reference(labels, rows)
    assert got.labels_R.equal(wanted.labels_R)
    assert got.sources is not None and got.targets is not None
    torch.testing.assert_close((got.sources, got.targets), (wanted.sources, wanted.targets))
    assert torch.isnan(got.overflow) == torch.isnan(wanted.overflow)


def test_behind_the_last_supervised_row_log_probabilities_are_zero() -> None:
    hidden, weight, labels = case()
    counted = linear_cross_entropy(hidden, weight, labels, HeadOptions()).log_probabilities
    bounded = linear_cross_entropy(hidden, weight, labels, HeadOptions(), rows=30).log_probabilities
    torch.testing.assert_close(bounded, torch.cat((counted, torch.zeros(6))))


def test_a_bound_that_is_too_low_makes_the_loss_nan() -> None:
    hidden, weight, labels = case()
    assert torch.isnan(linear_cross_entropy(hidden, weight, labels, HeadOptions(), rows=23).loss)


def test_a_bias_is_added_and_trained() -> None:
    hidden, weight, labels = case()
    bias = torch.linspace(-1, 1, 101, requires_grad=True)
    ours = linear_cross_entropy(hidden, weight, labels, HeadOptions(softcap=5.0), bias)
    reference = linear_cross_entropy_reference(hidden, weight, labels, HeadOptions(softcap=5.0), bias)
    torch.testing.assert_close(ours.loss, reference.loss)
    for got, wanted in zip(gradients(ours, weight, bias), gradients(reference, weight, bias), strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-5)


def test_gradients_of_the_head_add_up_over_calls() -> None:
    hidden, weight, labels = (tensor.detach() for tensor in case())
    total = torch.zeros_like(weight)
    for _ in range(2):
        head_loss(hidden, Head(weight), labels, 24, HeadGradients(weight_VD=total))
    once = torch.zeros_like(weight)
    head_loss(hidden, Head(weight), labels, 37, HeadGradients(weight_VD=once))
    torch.testing.assert_close(total, 2 * once)


def test_without_gradients_the_loss_is_the_same() -> None:
    hidden, weight, labels = case()
    with torch.no_grad():
        quiet = linear_cross_entropy(hidden, weight, labels, HeadOptions())
    torch.testing.assert_close(quiet.loss, linear_cross_entropy(hidden, weight, labels, HeadOptions()).loss.detach())


@pytest.mark.parametrize(("rows", "chunk"), [(1, 128), (100, 128), (4096, 2048), (2200, 1152), (16384, 2048)])
def test_chunks_fill_the_budget_evenly(rows: int, chunk: int) -> None:
    assert chunk_rows(rows, 128_256, 2, budget=512 * 2**20 + 2**24) == chunk


def test_a_budget_below_one_row_still_takes_one() -> None:
    assert chunk_rows(100, 128_256, 2, budget=1000) == 1


def test_under_autocast_it_computes_in_the_type_of_autocast() -> None:
    hidden, weight, labels = case()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ours, usual = (f(hidden, weight, labels, OPTIONS[0]) for f in (linear_cross_entropy, by_autocast))
    torch.testing.assert_close(ours.loss, usual.loss, rtol=1e-2, atol=0.0)
    for got, wanted in zip(gradients(ours, hidden, weight), gradients(usual, hidden, weight), strict=True):
        assert got.dtype == torch.float32
        assert relative_error(got, wanted) < 2e-2


def by_autocast(hidden: Tensor, weight: Tensor, labels: Tensor, options: HeadOptions) -> LossSum:
    """The reference, which autocast runs in 16 bits up to the logits."""
    assert torch.nn.functional.linear(hidden, weight).dtype == torch.bfloat16
    return linear_cross_entropy_reference(hidden, weight, labels, options)


def test_huge_logits_stay_finite() -> None:
    hidden, weight, labels = case()
    result = linear_cross_entropy(hidden * 1e4, weight, labels, HeadOptions())
    assert torch.isfinite(result.loss)
