"""What only a GPU shows: bf16 and NF4 bases, the 8-bit and paged optimizers, recomputation, memory beside the plan."""

import json
from pathlib import Path

import pytest
import torch

from tests.tiny import write_tiny_model
from tui_tuner.controls import Controls
from tui_tuner.engine.run import run
from tui_tuner.events import EvalFinished, ProofFinished, RunFinished, RunStarted, StepFinished, TrainEvent
from tui_tuner.recipe import parse_recipe

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU; none is visible"),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(
        tmp_path_factory.mktemp("model"), hidden_size=256, intermediate_size=512, head_dim=64, num_key_value_heads=2
    )


def train(folder: Path, model: Path, settings: str, learning_rate: float = 5e-3) -> list[TrainEvent]:
    rows = folder / "rows.jsonl"
    with rows.open("w") as file:
        for index in range(40):
            messages = [
                {"role": "user", "content": f"Say {index}"},
                {"role": "assistant", "content": f"It is {index}."},
            ]
            file.write(json.dumps({"messages": messages}) + "\n")
    recipe = parse_recipe(f"""
model.source = "{model}"
data.sources = [{{path = "{rows}"}}]
output.folder = "{folder / "runs"}"
acceleration.device = "cuda"
optimizer.learning_rate = {learning_rate}
training.max_steps = 20
training.sample_prompts = []
{settings}
""")
    return list(run(recipe, Controls()))


def losses(events: list[TrainEvent]) -> list[float]:
    return [event.loss for event in events if isinstance(event, EvalFinished)]


@pytest.mark.parametrize(
    "settings",
    [
        "",
        'model.quantization = "nf4"',
        'acceleration.recompute = "layers"',
        "data.packing = true\ndata.max_length = 128",
        'adapter.variant = "dora"',
        'adapter.variant = "dora"\nmodel.quantization = "nf4"',
        'adapter.modules_to_save = ["embed_tokens", "lm_head", "norm"]',
        "adapter.dropout = 0.1",
        'adapter.method = "full"',
        'optimizer.name = "adamw_8bit"',
        'optimizer.name = "paged_adamw"',
        'optimizer.name = "paged_adamw_8bit"',
    ],
)
def test_it_learns_and_the_proof_passes(tmp_path: Path, model: Path, settings: str) -> None:
    events = train(tmp_path, model, settings)
    assert isinstance(events[-1], RunFinished)
    before, *_, after = losses(events)
    assert after < 0.7 * before
    proof = next(event for event in events if isinstance(event, ProofFinished))
    assert proof.passed


def test_bf16_and_recomputed_losses_are_those_of_float32(tmp_path: Path, model: Path) -> None:
    def steps(settings: str, name: str) -> list[float]:
        # A gentle rate: at 5e-3 rounding alone sends the two on different ways after a few steps.
        events = train(tmp_path, model, f'{settings}\noutput.name = "{name}"', learning_rate=2e-4)
        return [event.loss for event in events if isinstance(event, StepFinished)]

    exact = steps('model.dtype = "float32"', "exact")
    assert steps("", "bf16") == pytest.approx(exact, rel=0.02)
    assert steps('acceleration.recompute = "layers"', "recomputed") == pytest.approx(exact, rel=0.02)


def test_the_plan_names_the_gpu_memory_that_is_free(tmp_path: Path, model: Path) -> None:
    started = next(event for event in train(tmp_path, model, "") if isinstance(event, RunStarted))
    assert started.plan.device == "cuda"
    assert started.plan.memory.available is not None
    assert started.plan.memory.available <= torch.cuda.get_device_properties(0).total_memory
