"""Adapters that are computed beside the joined products: dropout with masks from a seed, DoRA, and both."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.engine.acceleration.test_parity import assert_equal
from tests.engine.acceleration.twins import BATCHES, POLICIES, Answer, Twins, decoder_of, twins, with_policy
from tests.engine.tiny_runs import train
from tui_tuner.engine.acceleration.micro_step import MicroStep
from tui_tuner.events import ModelReady, ProofFinished
from tui_tuner.kernels.flat_parameters import refresh_copies
from tui_tuner.kernels.layer.parts import KEEP, Policy

DROPOUT = "adapter.dropout=0.3"
BOTH = (DROPOUT, 'adapter.variant="dora"')


def answer(pair: Twins, policy: Policy = KEEP, seed: int = 7) -> Answer:
    """Masks follow from torch's generator."""
    torch.manual_seed(seed)
    return pair.ours("packed", policy)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("case", ["llama", "gemma3"])
def test_dora_keeps_to_its_results_whatever_a_layer_keeps(tmp_path: Path, case: str, policy: str) -> None:
    pair = twins(tmp_path, case, 'adapter.variant="dora"', batches=["packed"])
    assert_equal(pair.ours("packed", POLICIES[policy]), pair.theirs["packed"])


def test_dora_on_a_base_in_four_bits(tmp_path: Path) -> None:
    pair = twins(tmp_path, "llama_nf4", 'adapter.variant="dora"', 'model.quantization="nf4"', batches=["packed"])
    assert_equal(pair.ours("packed"), pair.theirs["packed"])


@pytest.mark.parametrize("overrides", [(DROPOUT,), BOTH])
@pytest.mark.parametrize("case", ["qwen2", "gemma3"])
def test_backward_drops_what_forward_dropped(tmp_path: Path, case: str, overrides: tuple[str, ...]) -> None:
    pair = twins(tmp_path, case, *overrides, batches=[])
    kept = answer(pair)
    for policy in POLICIES.values():
        assert_equal(answer(pair, policy), kept)


def test_gradients_are_those_of_the_loss(tmp_path: Path) -> None:
    pair = twins(tmp_path, "llama", DROPOUT, batches=[])
    gradients = answer(pair).flat
    losses = []
    for step in (1e-4, -2e-4):
        moved(pair, gradients.sign().float(), step)
        refresh_copies(pair.flat.flat)
        losses.append(answer(pair).loss)
    slope = (losses[0] - losses[1]) / 2e-4
    assert slope == pytest.approx(float(gradients.abs().sum()), rel=0.01)


def moved(pair: Twins, direction: Tensor, step: float) -> None:
    start = 0
    for one in pair.trained.tensors:
        part = direction[start : start + one.parameter.numel()].view(one.parameter.shape)
        one.parameter.data.add_(part, alpha=step)
        start += one.parameter.numel()


def test_every_micro_batch_has_masks_of_its_own(tmp_path: Path) -> None:
    pair = twins(tmp_path, "llama", DROPOUT, batches=[])
    losses = {answer(pair, seed=seed).loss for seed in (1, 2, 3)}
    assert len(losses) == 3
    assert answer(pair, seed=1).loss in losses


def test_evaluating_drops_nothing(tmp_path: Path) -> None:
    pair = twins(tmp_path, "llama", DROPOUT, batches=[])
    with torch.inference_mode():
        dropping = pair.prepared.model.loss(BATCHES["packed"]).loss
    plain = twins(tmp_path, "llama", batches=["packed"])
    assert float(dropping) == pytest.approx(plain.theirs["packed"].loss, rel=1e-6)


def test_tokens_of_another_pass_are_dropped_by_another_mask(tmp_path: Path) -> None:
    pair = twins(tmp_path, "llama", DROPOUT, batches=[])
    model = with_policy(pair.prepared.model, KEEP)
    decoder = decoder_of(model)
    stack = replace(decoder.stack, space=type(decoder.stack.space)(torch.float32, torch.device("cpu"), pass_tokens=16))
    passing = replace(
        pair, prepared=replace(pair.prepared, model=replace(model, decoder=replace(decoder, stack=stack)))
    )
    assert answer(passing).loss != answer(pair).loss
    assert_equal(answer(passing, POLICIES["offload"]), answer(passing))


def test_nothing_is_recorded_where_something_is_dropped(tmp_path: Path) -> None:
    assert isinstance(twins(tmp_path, "llama", DROPOUT, batches=[]).prepared.model.micro_step, MicroStep)


def test_a_run_with_both_says_so_and_proves_what_it_saved(tmp_path: Path) -> None:
    done = train(tmp_path, *BOTH)
    (ready,), (proof,) = done.of(ModelReady), done.of(ProofFinished)
    (said,) = (one for one in ready.swaps if one.startswith("decoder layers of tuner"))
    assert said.endswith("adapters beside the joined products (DoRA with dropout)")
    assert proof.passed, proof.message
