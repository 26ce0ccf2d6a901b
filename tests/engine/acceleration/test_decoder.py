"""A micro-batch in one line: padding left out, or all batches padded to one shape, with the same losses."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.engine.acceleration.twins import BATCHES, POLICIES, decoder_of, twins
from tests.engine.test_families import LENGTHS
from tests.plans import llama_plan
from tui_tuner.engine.acceleration.accelerate import fixed_shape
from tui_tuner.engine.acceleration.decoder import FixedShape, in_one_line
from tui_tuner.engine.acceleration.graphs import bound
from tui_tuner.engine.acceleration.micro_step import MicroStep
from tui_tuner.kernels.layer.stack import decode
from tui_tuner.kernels.linear_cross_entropy import IGNORED_LABEL

TOTAL = sum(LENGTHS)


def test_padding_is_left_out() -> None:
    tokens = in_one_line(BATCHES["padded"])
    assert len(tokens.ids) == TOTAL < BATCHES["padded"].input_ids_BT.numel()
    assert tokens.documents.boundaries.tolist() == [0, *torch.tensor(LENGTHS).cumsum(0).tolist()]


def test_rows_of_one_length_are_a_plain_batch() -> None:
    assert in_one_line(BATCHES["equal"]).documents.rows == 2


def test_packs_of_several_sizes_get_one_shape() -> None:
    fixed = FixedShape(TOTAL + 9, max(LENGTHS), least_share=0.1)
    packed, equal = (in_one_line(BATCHES[name], fixed) for name in ("packed", "equal"))
    assert packed.ids.shape == equal.ids.shape == (fixed.tokens,)
    assert packed.documents.boundaries.shape == equal.documents.boundaries.shape
    assert packed.labels[TOTAL:].eq(IGNORED_LABEL).all()


def test_where_nothing_is_recorded_documents_stay_as_many_and_as_long_as_they_are() -> None:
    tokens = in_one_line(BATCHES["packed"], FixedShape(TOTAL + 9))
    assert len(tokens.ids) == TOTAL + 9
    assert tokens.documents.max_length == max(LENGTHS)
    assert len(tokens.documents.boundaries) == 1 + len(LENGTHS) + 1


def test_documents_of_one_length_stay_a_plain_batch_where_nothing_is_recorded() -> None:
    total = sum(map(sum, BATCHES["equal"].documents))
    assert in_one_line(BATCHES["equal"], FixedShape(total + 1)).documents.rows == 2
    assert in_one_line(BATCHES["equal"], FixedShape(total + 1, max(LENGTHS))).documents.rows is None


@pytest.mark.parametrize("name", BATCHES)
def test_a_step_knows_how_many_tokens_it_computes(tmp_path: Path, name: str) -> None:
    model = twins(tmp_path, "llama", batches=[]).prepared.model
    assert isinstance(model.micro_step, MicroStep)
    step = replace(model.micro_step, fixed=FixedShape(TOTAL + 9))
    computed = len(in_one_line(BATCHES[name], step.fixed).ids)
    assert replace(model, micro_step=step).num_tokens(BATCHES[name]) == computed


def test_packs_on_a_gpu_are_filled_up_as_far_as_it_pays() -> None:
    packed = llama_plan().model_copy(update={"device": "cuda"})
    packed = packed.model_copy(update={"data": packed.data.model_copy(update={"packing": True, "max_length": 2048})})
    tokens = 2048 * packed.schedule.micro_batch_size
    assert fixed_shape(packed, is_recorded=True) == FixedShape(tokens, 2048, 0.9)
    assert fixed_shape(packed, is_recorded=False) == FixedShape(tokens, None, 0.98)
    rows = packed.model_copy(update={"data": packed.data.model_copy(update={"packing": False})})
    for other in (rows, packed.model_copy(update={"device": "cpu"})):
        assert fixed_shape(other, is_recorded=False) is None


def test_a_batch_that_fills_little_keeps_its_own_shape() -> None:
    assert len(in_one_line(BATCHES["packed"], FixedShape(2 * TOTAL, max(LENGTHS))).ids) == TOTAL


@pytest.mark.parametrize("longest", [max(LENGTHS), None])
def test_padding_to_one_shape_changes_neither_loss_nor_gradients(tmp_path: Path, longest: int | None) -> None:
    pair = twins(tmp_path, "qwen3", batches=["packed"])
    step = pair.prepared.model.micro_step
    assert isinstance(step, MicroStep)
    tokens = in_one_line(BATCHES["packed"], FixedShape(TOTAL + 9, longest))
    loss = step.run(tokens, bound(BATCHES["packed"].num_trained, len(tokens.ids)), torch.ones(()))
    assert float(loss) == pytest.approx(pair.theirs["packed"].loss, rel=1e-6)
    for one, wanted in zip(pair.trained.tensors, pair.theirs["packed"].gradients, strict=True):
        torch.testing.assert_close(one.parameter.grad, wanted, atol=1e-5, rtol=1e-4)


def test_tokens_can_be_taken_over_by_others_of_their_shape() -> None:
    mine, others = in_one_line(BATCHES["equal"]).copied(), in_one_line(BATCHES["equal"])
    mine.ids.zero_()
    mine.refill(others)
    assert torch.equal(mine.ids, others.ids)


def test_evaluating_leaves_nothing_behind(tmp_path: Path) -> None:
    pair = twins(tmp_path, "llama", batches=["packed"])
    with torch.inference_mode():
        loss = pair.prepared.model.loss(BATCHES["packed"]).loss
    assert float(loss) == pytest.approx(pair.theirs["packed"].loss, rel=1e-6)
    assert not pair.flat.flat.gradients.any()
    assert pair.ours("packed").loss == pytest.approx(pair.theirs["packed"].loss, rel=1e-6)
    assert decoder_of(pair.prepared.model).stack.space.num_bytes > 0


def test_the_input_is_left_as_it_was_and_gets_its_gradient(tmp_path: Path) -> None:
    decoder = decoder_of(twins(tmp_path, "llama", batches=[]).prepared.model)
    tokens = in_one_line(BATCHES["packed"])
    x = decoder.embedded(tokens).detach().requires_grad_()
    before = x.detach().clone()
    grad = torch.randn_like(x)
    (once,) = torch.autograd.grad(decode(x, decoder.stack, decoder.batch(tokens)), x, grad)
    (again,) = torch.autograd.grad(decode(x, decoder.stack, decoder.batch(tokens)), x, grad)
    assert torch.equal(x, before)
    assert once.any()
    assert torch.equal(once, again)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("case", ["llama", "gemma3", "granite_multipliers"])
def test_short_passes_give_the_gradients_of_one(tmp_path: Path, case: str, policy: str) -> None:
    pair = twins(tmp_path, case, batches=[])
    space = decoder_of(pair.prepared.model).stack.space
    whole = pair.ours("packed", POLICIES[policy])
    space.pass_tokens = 5
    in_passes = pair.ours("packed", POLICIES[policy])
    assert in_passes.loss == pytest.approx(whole.loss, rel=1e-6)
    assert torch.allclose(in_passes.flat, whole.flat, atol=1e-5)
