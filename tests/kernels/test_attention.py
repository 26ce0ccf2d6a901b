"""Attention: the choice of a path, and kernel and reference beside eager float64, outputs and gradients."""

import pytest
import torch
from torch import Tensor

from tui_tuner.kernels.attention import causal as op
from tui_tuner.kernels.attention.causal import Attended, Inputs, Layout
from tui_tuner.kernels.attention.kernel import Scores
from tui_tuner.kernels.attention.path import Machine, Path, Question, choose
from tui_tuner.kernels.checking import relative_error
from tui_tuner.kernels.documents import Documents, batch_of, pack_of

CPU = torch.device("cpu")
HOPPER, AMPERE, TURING = (Machine(capability=version) for version in ((9, 0), (8, 6), (7, 5)))
DOCUMENTS = {
    "batch": batch_of(2, 19, CPU),
    "pack": pack_of((34, 1, 3, 4), 44, CPU),
    "padded slots": pack_of((20, 12), 35, CPU, slots=6, max_length=64),
}
SCORES = {
    "plain": Scores(0.3),
    "window": Scores(0.3, window=7),
    "window of one": Scores(0.3, window=1),
    "softcap": Scores(1.0, softcap=2.0),
    "window and softcap": Scores(1.0, window=20, softcap=5.0),
}


def question(dtype: torch.dtype = torch.bfloat16, head_dim: int = 128, **others: object) -> Question:
    return Question(dtype=dtype, head_dim=head_dim, max_length=2048, **others)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked", "machine", "path"),
    [
        (question(), HOPPER, "cudnn"),
        (question(), AMPERE, "flash"),
        (question(window=4096), HOPPER, "cudnn"),
        (question(window=512), HOPPER, "flash"),
        (question(packed=True), HOPPER, "flash"),
        (question(head_dim=256), HOPPER, "flash"),
        (question(head_dim=512), HOPPER, "triton"),
        (question(head_dim=100), HOPPER, "triton"),
        (question(softcap=50.0, window=512), HOPPER, "triton"),
        (question(torch.float32), HOPPER, "efficient"),
        (question(torch.float64), HOPPER, "reference"),
        (question(torch.float16), TURING, "efficient"),
        (question(), TURING, "reference"),
        (question(packed=True), Machine(capability=(9, 0), has_flash=False), "efficient"),
        (question(), Machine(capability=(9, 0), has_cudnn=False), "flash"),
        (question(), Machine(capability=None), "cpu"),
        (question(softcap=50.0), Machine(capability=None), "reference"),
    ],
)
def test_the_path_is_the_fastest_that_can_do_it(asked: Question, machine: Machine, path: Path) -> None:
    choice = choose(asked, machine)
    assert (choice.path, bool(choice.reason)) == (path, True)


def case(tokens: int, width: int = 16, dtype: torch.dtype = torch.float32) -> tuple[Inputs, Tensor]:
    """Queries of two heads that share keys and values, all views of one buffer; and a gradient."""
    generator = torch.Generator().manual_seed(tokens)
    fused, grad = (torch.randn(tokens, heads, width, generator=generator).to(dtype) for heads in (4, 2))
    return Inputs(fused[:, :2], fused[:, 2:3], fused[:, 3:]), grad


def results(inputs: Inputs, grad: Tensor, layout: Layout) -> tuple[Tensor, ...]:
    attended = op.forward(inputs, layout)
    gradients = op.backward(grad, inputs, attended, layout)
    return attended.output, gradients.q, gradients.k, gradients.v


@pytest.mark.parametrize("path", ["triton", "reference", "cpu"])
@pytest.mark.parametrize(
    ("documents", "scores"),
    [("pack", name) for name in SCORES] + [("batch", "plain"), ("padded slots", "window and softcap")],
)
def test_every_path_of_a_cpu_computes_what_float64_does(path: Path, documents: str, scores: str) -> None:
    if path == "cpu" and SCORES[scores].softcap is not None:
        pytest.skip("capped scores go to the reference")
    _compare_with_float64(path, DOCUMENTS[documents], SCORES[scores])


def test_scores_of_a_pack_on_a_cpu_grow_with_its_longest_document_and_not_with_the_pack() -> None:
    documents = pack_of([64] * 128, 64 * 128, CPU)
    inputs, grad = case(documents.tokens)
    for scores in (Scores(0.3), Scores(0.3, softcap=5.0)):
        with torch.profiler.profile(profile_memory=True) as profile:
            results(inputs, grad, Layout(documents, scores, op.path_for(inputs.q, documents, scores).path))
        assert max(event.cpu_memory_usage for event in profile.events()) < 4 * 2 * documents.tokens**2 / 10


def _compare_with_float64(path: Path, documents: Documents, scores: Scores) -> None:
    inputs, grad = case(documents.tokens)
    exact = op.eager(inputs, grad, documents, scores, torch.float64)
    for got, wanted in zip(results(inputs, grad, Layout(documents, scores, path)), exact, strict=True):
        torch.testing.assert_close(got.double(), wanted, rtol=1e-5, atol=1e-5)


def test_small_scores_lose_nothing_under_a_large_cap() -> None:
    documents, scores = DOCUMENTS["pack"], Scores(0.25, softcap=50.0)
    inputs, grad = case(documents.tokens)
    exact, usual = (op.eager(inputs, grad, documents, scores, dtype) for dtype in (torch.float64, torch.float32))
    ours = results(inputs, grad, Layout(documents, scores, "triton"))
    for got, wanted, plain in zip(ours, exact, usual, strict=True):
        assert relative_error(got, wanted) < max(1.5 * relative_error(plain, wanted), 5e-7)


@pytest.mark.parametrize("width", [8, 24, 80])
def test_heads_of_any_width_and_16_bit_types_go_through_the_kernel(width: int) -> None:
    documents, scores = DOCUMENTS["pack"], Scores(width**-0.5, window=20)
    inputs, grad = case(documents.tokens, width, torch.float16)
    exact = op.eager(inputs, grad, documents, scores, torch.float64)
    for got, wanted in zip(results(inputs, grad, Layout(documents, scores, "triton")), exact, strict=True):
        torch.testing.assert_close(got.double(), wanted, rtol=0, atol=4e-3)


def test_autograd_goes_through_the_written_gradients() -> None:
    documents = pack_of((5, 3), 9, CPU)
    inputs = [tensor.double().requires_grad_() for tensor in vars_of(case(9, 4)[0])]
    scores = Scores(0.5, window=4, softcap=3.0)
    assert torch.autograd.gradcheck(lambda *qkv: op.attention(Inputs(*qkv), documents, scores), inputs)


def vars_of(inputs: Inputs) -> tuple[Tensor, Tensor, Tensor]:
    return inputs.q, inputs.k, inputs.v


def test_a_document_in_a_pack_is_attended_as_if_it_were_alone() -> None:
    inputs, _ = case(50)
    packed = op.attention(inputs, pack_of((20, 30), 50, CPU), Scores(0.3))
    alone = op.attention(Inputs(*(x[20:] for x in vars_of(inputs))), batch_of(1, 30, CPU), Scores(0.3))
    torch.testing.assert_close(packed[20:], alone)


def test_the_state_of_forward_is_all_that_backward_needs() -> None:
    inputs, grad = case(35)
    layout = Layout(DOCUMENTS["padded slots"], SCORES["softcap"], "triton")
    attended = op.forward(inputs, layout)
    kept = Attended(attended.output.clone(), tuple(tensor.clone() for tensor in attended.state))
    for got, wanted in zip(
        vars_of(op.backward(grad, inputs, kept, layout)), results(inputs, grad, layout)[1:], strict=True
    ):
        assert torch.equal(got, wanted)
