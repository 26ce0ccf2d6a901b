"""Our own layers give the loss and every gradient of the model's own, for each family and whatever is trained."""

from pathlib import Path

import pytest
import torch

from tests.engine.acceleration.twins import BATCHES, POLICIES, Answer, decoder_of, twins
from tests.engine.test_families import CASES
from tests.tiny import write_tiny_model
from tui_tuner.kernels.lora.layout import LoraWeight

ACCELERATED = list(CASES)
NF4 = 'model.quantization="nf4"'
NORMS = '["norm", "input_layernorm", "post_attention_layernorm"]'
GEMMA_NORMS = '["norm", "input_layernorm", "post_attention_layernorm", "post_feedforward_layernorm", "q_norm"]'
TRAINED = [
    ("llama", 'adapter.targets=["q_proj", "down_proj"]'),
    ("llama", 'adapter.targets=["v_proj", "up_proj"]'),
    ("qwen2", 'adapter.targets=["o_proj"]'),
    ("phi3", 'adapter.targets=["gate_up_proj"]'),
    ("llama", "adapter.layers=[1]"),
    ("llama", 'adapter.variant="rslora"'),
    ("llama", 'adapter.variant="dora"'),
    ("llama_biases", 'adapter.variant="dora"'),
    ("gemma3", 'adapter.variant="dora"'),
    ("granite_multipliers", 'adapter.variant="dora"'),
    ("llama", "adapter.rank=80"),
    ("llama", f"adapter.modules_to_save={NORMS}"),
    ("cohere", 'adapter.modules_to_save=["norm", "input_layernorm"]'),
    ("cohere2", 'adapter.variant="dora"'),
    ("gemma3", f"adapter.modules_to_save={GEMMA_NORMS}"),
    ("llama", 'adapter.modules_to_save=["embed_tokens", "lm_head"]'),
    ("granite_multipliers", 'adapter.modules_to_save=["embed_tokens"]'),
]


def assert_equal(ours: Answer, theirs: Answer) -> None:
    assert ours.loss == pytest.approx(theirs.loss, rel=1e-6)
    if len(ours.log_probabilities):
        torch.testing.assert_close(ours.log_probabilities, theirs.log_probabilities, atol=1e-5, rtol=0)
    for got, wanted in zip(ours.gradients, theirs.gradients, strict=True):
        assert (got - wanted).norm() <= 1e-5 * wanted.norm() + 1e-7


@pytest.mark.parametrize("case", ACCELERATED)
def test_every_family_and_every_kind_of_batch(tmp_path: Path, case: str) -> None:
    pair = twins(tmp_path, case)
    for batch in BATCHES:
        assert_equal(pair.ours(batch), pair.theirs[batch])


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("case", ["qwen2", "gemma2", "gemma3", "granite_multipliers", "cohere2"])
def test_what_a_layer_keeps_changes_nothing(tmp_path: Path, case: str, policy: str) -> None:
    pair = twins(tmp_path, case, batches=["packed"])
    assert_equal(pair.ours("packed", POLICIES[policy]), pair.theirs["packed"])


@pytest.mark.parametrize(("case", "override"), TRAINED)
def test_whatever_is_trained(tmp_path: Path, case: str, override: str) -> None:
    pair = twins(tmp_path, case, override, batches=["packed"])
    for policy in ("keep", "recompute"):
        assert_equal(pair.ours("packed", POLICIES[policy]), pair.theirs["packed"])


@pytest.mark.parametrize("case", ["llama_nf4", "qwen2_nf4"])
def test_a_base_in_four_bits(tmp_path: Path, case: str) -> None:
    pair = twins(tmp_path, case, NF4, batches=["packed"])
    for policy in POLICIES.values():
        assert_equal(pair.ours("packed", policy), pair.theirs["packed"])


@pytest.mark.parametrize(
    ("dequantized_layers", "override"),
    [(1, "adapter.rank=8"), (2, "adapter.rank=8"), (1, 'adapter.variant="dora"'), (2, 'adapter.targets=["o_proj"]')],
)
def test_weights_that_are_held_in_full_beside_their_four_bits_give_the_same_bits(
    tmp_path: Path, dequantized_layers: int, override: str
) -> None:
    numbers = (0, dequantized_layers)
    pairs = [twins(tmp_path, "qwen2_nf4", NF4, override, batches=[], dequantized_layers=number) for number in numbers]
    held = [isinstance(layer.gate_up.base, LoraWeight) for layer in decoder_of(pairs[1].prepared.model).stack.layers]
    assert held == [True] * dequantized_layers + [False] * (len(held) - dequantized_layers)
    for policy in POLICIES.values():
        each_time, once = (pair.by_hand("packed", policy) for pair in pairs)
        assert once.loss == each_time.loss
        assert torch.equal(once.flat, each_time.flat)


def test_modules_keep_their_four_bits_where_our_layers_hold_more(tmp_path: Path) -> None:
    pair = twins(tmp_path, "llama_nf4", NF4, batches=["packed"], dequantized_layers=2)
    weight = pair.model.module.get_parameter("model.layers.0.mlp.down_proj.weight")
    assert weight.dtype == torch.uint8
    assert_equal(pair.ours("packed"), pair.theirs["packed"])


@pytest.mark.parametrize(
    ("case", "override"),
    [("llama", "adapter.rank=4"), ("gemma3", f"adapter.modules_to_save={GEMMA_NORMS}"), ("granite_multipliers", "")],
)
def test_a_micro_step_without_autograd(tmp_path: Path, case: str, override: str) -> None:
    pair = twins(tmp_path, case, *filter(None, [override]))
    assert pair.prepared.model.micro_step is not None
    for batch in BATCHES:
        assert_equal(pair.by_hand(batch), pair.theirs[batch])


def test_layers_of_another_shape_stay_as_they_are(tmp_path: Path) -> None:
    model = write_tiny_model(tmp_path / "model", "cohere", vocab_size=264, use_qk_norm=True)
    prepared = twins(tmp_path, model, batches=[]).prepared
    assert prepared.model.decoder is None
    assert prepared.model.obstacle == "queries and keys have norms with a weight for each head"


def test_the_models_own_modules_read_the_joined_weights(tmp_path: Path) -> None:
    pair = twins(tmp_path, "qwen2", batches=["packed"])
    own = twins(tmp_path, "qwen2", batches=[]).model
    names = dict(own.module.named_parameters())
    for name, parameter in pair.model.module.named_parameters():
        assert torch.equal(parameter, names[name]), name
