"""Our own decoder layers on a GPU: beside the model's own in float32, all policies alike, packed, in NF4, and without
waiting for the device."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from tests.engine.acceleration.twins import BATCHES, POLICIES, Twins, twins, with_policy
from tui_tuner.engine.acceleration.graphs import SEEN_BEFORE, GraphedSteps
from tui_tuner.kernels.layer.parts import RECOMPUTE

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU; none is visible"),
]
FAMILIES = ["llama", "mistral_window", "qwen2", "qwen3", "gemma", "gemma2", "gemma3", "phi3", "granite_multipliers"]
FAMILIES += ["cohere", "cohere2"]
ON_GPU = 'acceleration.device="cuda"'
IN_FLOAT32 = 'model.dtype="float32"'


def cosine(left: torch.Tensor, right: torch.Tensor) -> float:
    return float(torch.nn.functional.cosine_similarity(left, right, dim=0))


@contextmanager
def no_waiting() -> Iterator[None]:
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("case", FAMILIES)
def test_bfloat16_is_as_near_to_float32_as_the_models_own_layers(tmp_path: Path, case: str) -> None:
    (tmp_path / "exact").mkdir()
    pair, exact = twins(tmp_path, case, ON_GPU), twins(tmp_path / "exact", case, ON_GPU, IN_FLOAT32)
    for batch in BATCHES:
        wanted, ours, theirs = exact.theirs[batch], pair.ours(batch), pair.theirs[batch]
        assert ours.loss == pytest.approx(wanted.loss, rel=2e-3)
        assert cosine(ours.flat, wanted.flat) >= min(0.999, cosine(theirs.flat, wanted.flat) - 1e-4)


@pytest.mark.parametrize("case", FAMILIES)
def test_float32_equals_the_models_own_layers(tmp_path: Path, case: str) -> None:
    pair = twins(tmp_path, case, ON_GPU, IN_FLOAT32)
    for batch in BATCHES:
        ours, theirs = pair.ours(batch), pair.theirs[batch]
        assert ours.loss == pytest.approx(theirs.loss, rel=1e-5)
        assert cosine(ours.flat, theirs.flat) >= 0.99999


@pytest.mark.parametrize("case", ["llama", "gemma3"])
def test_what_a_layer_keeps_changes_next_to_nothing(tmp_path: Path, case: str) -> None:
    pair = twins(tmp_path, case, ON_GPU, batches=[])
    kept = pair.ours("packed")
    for name, policy in POLICIES.items():
        again = pair.ours("packed", policy)
        assert again.loss == kept.loss, name
        assert cosine(again.flat, kept.flat) >= 0.9999, name


def test_two_passes_give_the_same_bits(tmp_path: Path) -> None:
    pair = twins(tmp_path, "llama", ON_GPU, batches=[])
    assert torch.equal(pair.ours("packed", RECOMPUTE).flat, pair.ours("packed", RECOMPUTE).flat)


@pytest.mark.parametrize("case", ["llama_nf4", "qwen2_nf4"])
def test_a_base_in_four_bits(tmp_path: Path, case: str) -> None:
    pair = twins(tmp_path, case, ON_GPU, 'model.quantization="nf4"')
    for batch in BATCHES:
        for policy in POLICIES.values():
            ours, theirs = pair.ours(batch, policy), pair.theirs[batch]
            assert ours.loss == pytest.approx(theirs.loss, rel=2e-3)
            assert cosine(ours.flat, theirs.flat) >= 0.998


def test_weights_that_are_held_in_full_beside_their_four_bits_give_the_same_bits(tmp_path: Path) -> None:
    held = [
        twins(tmp_path, "llama_nf4", ON_GPU, 'model.quantization="nf4"', batches=[], dequantized_layers=number)
        for number in (0, 1, 2)
    ]
    each_time, one, all_layers = (pair.ours("packed") for pair in held)
    for once in (one, all_layers):
        assert once.loss == each_time.loss
        assert torch.equal(once.flat, each_time.flat)


@pytest.mark.parametrize("policy", POLICIES)
def test_nothing_waits_for_the_device(tmp_path: Path, policy: str) -> None:
    pair = twins(tmp_path, "llama", ON_GPU, batches=[])
    _pass(pair, policy)
    with no_waiting():
        _pass(pair, policy)


def _pass(pair: Twins, policy: str) -> None:
    model = with_policy(pair.prepared.model, POLICIES[policy])
    model.loss(_ON_DEVICE["packed"]).loss.backward()


_ON_DEVICE = (
    {name: batch.to(torch.device("cuda")) for name, batch in BATCHES.items()} if torch.cuda.is_available() else {}
)


@pytest.mark.parametrize("recompute", ["off", "layers", "offload"])
@pytest.mark.parametrize("case", ["llama", "gemma3"])
def test_a_recorded_step_gives_the_bits_of_the_one_before(tmp_path: Path, case: str, recompute: str) -> None:
    pair = twins(tmp_path, case, ON_GPU, f"acceleration.recompute={recompute}", batches=[])
    steps = pair.prepared.model.micro_step
    assert isinstance(steps, GraphedSteps)
    for batch in ("equal", "packed"):
        results = []
        for _ in range(SEEN_BEFORE + 3):
            pair.flat.flat.gradients.zero_()
            loss = pair.prepared.model.add_gradients(BATCHES[batch], 7).clone()
            results.append((loss, pair.flat.flat.gradients.clone()))
        assert all(torch.equal(loss, results[0][0]) for loss, _ in results)
        assert all(torch.equal(gradients, results[0][1]) for _, gradients in results)


@pytest.mark.parametrize("recompute", ["off", "offload"])
def test_a_recording_is_made_again_when_a_buffer_has_moved(tmp_path: Path, recompute: str) -> None:
    pair = twins(tmp_path, "llama", ON_GPU, f"acceleration.recompute={recompute}", batches=[])
    model = pair.prepared.model
    for batch in ("equal",) * 4 + ("two packs", "equal", "equal"):
        pair.flat.flat.gradients.zero_()
        loss = model.add_gradients(BATCHES[batch], 1).clone()
    gradients = pair.flat.flat.gradients.clone()
    assert model.micro_step is not None
    again = pair.by_hand("equal")
    assert float(loss) == pytest.approx(again.loss, rel=1e-6)
    assert cosine(gradients, pair.flat.flat.gradients) > 0.99999
