"""Cross entropy of logits: the kernel beside float64, in the interpreter where there is no GPU."""

import pytest
import torch
from torch import Tensor

from tui_tuner.kernels.checking import relative_error
from tui_tuner.kernels.cross_entropy import (
    HeadOptions,
    cross_entropy,
    cross_entropy_of_logits,
    cross_entropy_rows_kernel,
    cross_entropy_rows_reference,
)

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
OPTIONS = [HeadOptions(), HeadOptions(logit_scale=0.25), HeadOptions(softcap=5.0), HeadOptions(2.0, 30.0)]
DTYPES = [torch.float32, torch.float16, torch.bfloat16]


def case(rows: int, vocabulary: int, dtype: torch.dtype = torch.float32, spare: int = 0) -> tuple[Tensor, Tensor]:
    """Logits whose rows lie `spare` elements apart, and labels of which one in three is left out."""
    generator = torch.Generator().manual_seed(rows + vocabulary)
    logits = (4 * torch.randn(rows, vocabulary + spare, generator=generator)).to(dtype)
    labels = torch.randint(0, vocabulary, (rows,), generator=generator)
    labels[1::3] = -100
    return logits.to(DEVICE)[:, :vocabulary], labels.to(DEVICE)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize(("rows", "vocabulary", "spare"), [(1, 7, 0), (4, 1000, 3), (3, 8193, 0), (2, 20011, 5)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_kernel_is_as_exact_as_torch_in_the_same_dtype(
    rows: int, vocabulary: int, spare: int, options: HeadOptions, dtype: torch.dtype
) -> None:
    logits, labels = case(rows, vocabulary, dtype, spare)
    ours, usual, exact = logits.clone(), logits.clone(), logits.double()
    got = cross_entropy_rows_kernel(ours, labels, options, overwrite=True)
    plain = cross_entropy_rows_reference(usual, labels, options, overwrite=True)
    wanted = cross_entropy_rows_reference(exact, labels, options, overwrite=True)
    assert relative_error(ours, exact) <= max(1.5 * relative_error(usual, exact), 1e-6)
    assert relative_error(got.log_probabilities, wanted.log_probabilities) < 1e-5
    assert got.correct.equal(plain.correct)


def test_rows_without_a_label_get_a_gradient_of_zero() -> None:
    logits, labels = case(6, 100)
    cross_entropy_rows_kernel(logits, labels, HeadOptions(), overwrite=True)
    assert logits[labels == -100].abs().max() == 0.0
    assert logits[labels != -100].abs().amax(1).min() > 0.0


def test_without_overwriting_the_logits_stay() -> None:
    logits, labels = case(4, 100)
    before = logits.clone()
    cross_entropy_rows_kernel(logits, labels, HeadOptions(), overwrite=False)
    assert logits.equal(before)


def test_of_equal_logits_the_first_counts_as_the_most_likely() -> None:
    logits = torch.zeros(3, 9000, device=DEVICE)
    labels = torch.tensor([0, 1, 8999], device=DEVICE)
    got = cross_entropy_rows_kernel(logits, labels, HeadOptions(), overwrite=False)
    assert got.correct.tolist() == [True, False, False]


def test_the_gradient_of_a_certain_token_does_not_vanish() -> None:
    logits = torch.zeros(1, 50, device=DEVICE)
    logits[0, 7] = 40.0
    exact = logits.double()
    label = torch.tensor([7], device=DEVICE)
    got = cross_entropy_rows_kernel(logits, label, HeadOptions(), overwrite=True)
    cross_entropy_rows_reference(exact, label, HeadOptions(), overwrite=True)
    assert logits[0, 7].item() == pytest.approx(exact[0, 7].item(), rel=1e-4)
    assert got.log_probabilities.item() == pytest.approx(-49 * 4.248354e-18, rel=1e-4)


def test_huge_logits_stay_finite() -> None:
    logits, labels = case(4, 3000)
    logits *= 1e4
    got = cross_entropy_rows_kernel(logits, labels, HeadOptions(), overwrite=True)
    assert torch.isfinite(logits).all()
    assert torch.isfinite(got.log_probabilities).all()


@pytest.mark.parametrize("label", [3000, -7])
def test_a_label_outside_the_vocabulary_makes_the_loss_nan(label: int) -> None:
    logits, labels = case(2, 3000)
    labels[0] = label
    got = cross_entropy_rows_kernel(logits, labels, HeadOptions(), overwrite=False)
    assert torch.isnan(got.log_probabilities[0])


def test_nan_logits_make_the_loss_nan() -> None:
    logits, labels = case(2, 3000)
    logits[0, 17] = float("nan")
    got = cross_entropy_rows_kernel(logits, labels, HeadOptions(), overwrite=False)
    assert torch.isnan(got.log_probabilities[0])


def test_no_rows_are_no_launch() -> None:
    logits, labels = case(0, 100)
    assert cross_entropy_rows_kernel(logits, labels, HeadOptions(), overwrite=True).correct.numel() == 0


def test_columns_that_are_not_contiguous_are_refused() -> None:
    logits, labels = case(100, 4)
    with pytest.raises(ValueError, match="contiguous"):
        cross_entropy_rows_kernel(logits.T, labels[:4], HeadOptions(), overwrite=False)


@pytest.mark.parametrize("options", OPTIONS)
def test_the_differentiable_form_equals_autograd(options: HeadOptions) -> None:
    logits, _ = case(5, 64)
    labels = torch.arange(5, device=DEVICE)
    ours, usual = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    results = cross_entropy(ours, labels, options), cross_entropy_of_logits(usual, labels, options)
    torch.testing.assert_close(results[0].loss, results[1].loss)
    got, wanted = (torch.autograd.grad(r.loss / 3, x)[0] for r, x in zip(results, (ours, usual), strict=True))
    torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-6)
    assert ours.equal(logits)
