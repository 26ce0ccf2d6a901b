"""The sizes of our own layers by formula are those of the tensors that the layers keep and share."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.engine.acceleration.twins import BATCHES, POLICIES, decoder_of, twins
from tui_tuner.engine.acceleration.decoder import in_one_line
from tui_tuner.kernels.layer.saved import ON_THE_WAY, Saved
from tui_tuner.kernels.layer.stack import gradient_buffer, run_backward, run_forward
from tui_tuner.kernels.layer.workspace import Workspace
from tui_tuner.kernels.lora.layout import LoraWeight
from tui_tuner.plan import LayerCounts, ModelFacts
from tui_tuner.planning.own_layers.counts import Recompute, layer_counts
from tui_tuner.planning.own_layers.memory import (
    LEAVING,
    dequantized_bytes,
    host_bytes,
    joined_bytes,
    kept_bytes,
    shared_bytes,
)

RANKS = 7 * 4
"""Of seven adapters in a layer."""
COUNTS = {
    "keep": LayerCounts(keep=1, recompute=0, offload=0),
    "recompute": LayerCounts(keep=0, recompute=1, offload=0),
    "offload": LayerCounts(keep=0, recompute=0, offload=1),
    "offload, lean": LayerCounts(keep=0, recompute=0, offload=1, sends="attended"),
    "offload, input": LayerCounts(keep=0, recompute=0, offload=1, sends="input"),
}
FACTS = ModelFacts(
    source="", folder=None, model_type="llama", architecture="", family="llama", is_accelerated=True, dtype="float32",
    hidden_size=64, num_layers=2, num_heads=4, num_kv_heads=2, head_dim=16, intermediate_size=96, vocab_size=264,
    context_length=128, tied_embeddings=False, num_parameters=0, num_linear_parameters=0,
)  # fmt: skip


def bytes_of(saved: Saved) -> int:
    """Of the distinct memory that one layer holds on to."""
    found = [getattr(saved, name) for name in Saved.__slots__ if name not in ("state", "on_host")]
    tensors = [*saved.state, *(getattr(one, "joined", one) for one in found if one is not None)]
    return sum({one.data_ptr(): one.untyped_storage().nbytes() for one in tensors}.values())


def facts_of(case: str, head_dim: int) -> ModelFacts:
    return FACTS.model_copy(update={"model_type": {"gemma3": "gemma3_text"}.get(case, case), "head_dim": head_dim})


@pytest.mark.parametrize("policy", COUNTS)
@pytest.mark.parametrize("case", ["llama", "gemma3"])
def test_what_a_layer_keeps_and_sends(tmp_path: Path, case: str, policy: str) -> None:
    decoder = decoder_of(twins(tmp_path, case, batches=[]).prepared.model)
    tokens = in_one_line(BATCHES["packed"])
    stack = replace(decoder.stack, layers=decoder.stack.layers[:1], policies=(POLICIES[policy],))
    with torch.no_grad():
        _, (saved,) = run_forward(decoder.embedded(tokens), stack, decoder.batch(tokens))
    facts = facts_of(case, decoder.stack.layers[0].shape.head_dim)
    assert bytes_of(saved) == pytest.approx(kept_bytes(facts, COUNTS[policy], len(tokens.ids), 4, RANKS), rel=0.01)
    assert stack.host.waiting_bytes == host_bytes(facts, COUNTS[policy], len(tokens.ids), 4, RANKS)


@pytest.mark.parametrize("recompute", ["off", "layers"])
@pytest.mark.parametrize("case", ["llama", "gemma3"])
def test_what_the_layers_share(tmp_path: Path, case: str, recompute: Recompute) -> None:
    asked = f"acceleration.recompute={recompute}"
    decoder = decoder_of(twins(tmp_path, case, asked, batches=[]).prepared.model)
    tokens = in_one_line(BATCHES["packed"])
    with torch.no_grad():
        batch = decoder.batch(tokens)
        output, kept = run_forward(decoder.embedded(tokens), decoder.stack, batch)
        grad = gradient_buffer(decoder.stack, len(output))
        run_backward(grad, kept, decoder.stack, batch, wants_x=False)
    facts = facts_of(case, decoder.stack.layers[0].shape.head_dim)
    formula = shared_bytes(facts, layer_counts(recompute, 2), len(tokens.ids), 4, is_quantised=False)
    assert decoder.stack.space.num_bytes == pytest.approx(formula, rel=0.02)


def test_working_copies_are_counted_with_their_padding(tmp_path: Path) -> None:
    pair = twins(tmp_path, "llama", batches=[])
    stack = decoder_of(pair.prepared.model).stack
    spare = 0
    for layer in stack.layers:
        for one in (layer.qkv, layer.o, layer.gate_up, layer.down):
            assert isinstance(one.base, LoraWeight)
            spare += 4 * (one.base.full.numel() - one.layout.out_features * one.layout.in_features)
    assert joined_bytes(facts_of("llama", stack.layers[0].shape.head_dim), pair.plan.adapter, 4) == spare


def test_weights_that_are_held_in_full_beside_their_four_bits(tmp_path: Path) -> None:
    pair = twins(tmp_path, "llama_nf4", 'model.quantization="nf4"', batches=[], dequantized_layers=2)
    layers, facts = decoder_of(pair.prepared.model).stack.layers, pair.plan.model
    bases = [one.base for layer in layers for one in (layer.qkv, layer.o, layer.gate_up, layer.down)]
    held = sum(base.full.nbytes for base in bases if isinstance(base, LoraWeight))
    adapters = joined_bytes(facts, pair.plan.adapter, 4, is_quantised=True)
    assert held == 2 * dequantized_bytes(facts, 4) + adapters


@pytest.mark.parametrize("tokens", [1, 100, 8192, 8193, 12_000, 40_000])
def test_passes_are_as_long_as_the_layers_make_them(tokens: int) -> None:
    passes = Workspace(torch.float32, torch.device("cpu")).passes(tokens)
    facts, layers = FACTS.model_copy(update={"intermediate_size": 10**6}), COUNTS["keep"]
    more = facts.model_copy(update={"intermediate_size": 10**6 + 1})
    sizes = [shared_bytes(one, layers, tokens, 1, is_quantised=False) for one in (facts, more)]
    assert sizes[1] - sizes[0] == max(rows.stop - rows.start for rows in passes)


def test_as_many_layers_may_be_on_their_way_as_the_host_memory_lets() -> None:
    assert LEAVING == ON_THE_WAY
