"""Resuming on a GPU: the same weights as far as the kernels themselves repeat.

Two undisturbed runs tell how far they do: where these are equal bit for bit, so must be the one that was stopped.
"""

from pathlib import Path

import pytest
import torch

from tests.engine.checkpoints.interrupted import at_step, cut, go_on, stopped, weights
from tests.engine.tiny_runs import train
from tests.tiny import write_tiny_model
from tui_tuner.engine.checkpoints.choosing import newest_whole
from tui_tuner.engine.checkpoints.random_state import capture, restore
from tui_tuner.events import ModelReady, RunResumed
from tui_tuner.journal import read_events, read_state

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU; none is visible"),
]
GPU = ("acceleration.device=cuda", "training.max_steps=12", "training.save_every=3", "optimizer.schedule=cosine")
OWN_LAYERS = ("data.packing=true", "data.max_length=64", "training.micro_batch_size=1")
"""Packed sequences of one shape: from the third on they are replayed as CUDA graphs."""
KINDS = {
    "bf16, own layers, graphs": OWN_LAYERS,
    "float32": ("model.dtype=float32", *OWN_LAYERS),
    "dropout": ("adapter.dropout=0.2",),
    "nf4": ("model.quantization=nf4", *OWN_LAYERS),
    "nf4, dora": ("model.quantization=nf4", "adapter.variant=dora"),
    "offloaded": ("acceleration.recompute=offload", *OWN_LAYERS),
    "whole modules": ('adapter.modules_to_save=["embed_tokens", "lm_head", "norm"]',),
    "full": ("adapter.method=full",),
    "8-bit": ("optimizer.name=adamw_8bit",),
    "paged": ("optimizer.name=paged_adamw",),
    "paged, 8-bit, nf4": ("optimizer.name=paged_adamw_8bit", "model.quantization=nf4"),
}
SLACK = 4.0
"""Times the distance of two undisturbed runs, where the kernels do not repeat themselves."""


def in_folder(folder: Path) -> Path:
    write_tiny_model(
        folder / "model", hidden_size=256, intermediate_size=512, head_dim=64, num_attention_heads=4,
        num_key_value_heads=2,
    )  # fmt: skip
    return folder


def distance(one: Path, other: Path) -> float:
    """Largest difference of any trained number beside the largest of its tensor; 0 where all bits are equal."""
    ours, theirs = weights(one), weights(other)
    assert ours.keys() == theirs.keys()
    return max(
        float((ours[name] - theirs[name]).abs().max() / theirs[name].abs().max().clamp_min(1e-12)) for name in ours
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_that_was_stopped_ends_as_one_that_was_not(kind: str, tmp_path: Path) -> None:
    settings = (*GPU, *KINDS[kind])
    first, second = (train(in_folder(tmp_path), *settings, f"output.name={name}").folder for name in ("one", "two"))
    repeats = distance(first, second)
    folder = stopped(tmp_path, "stopped", 5, *settings)
    go_on(folder, until=8)
    go_on(folder)
    found = distance(folder, first)
    print(f"{kind}: two runs differ by {repeats:.3g}, the stopped one by {found:.3g}")  # noqa: T201 - for the report
    assert found <= SLACK * repeats
    if repeats == 0.0:
        assert read_state(folder).losses == read_state(first).losses


def test_a_run_that_was_cut_off_in_a_step_ends_as_one_that_was_not(tmp_path: Path) -> None:
    settings = (*GPU, "adapter.dropout=0.2")
    first, second = (train(in_folder(tmp_path), *settings, f"output.name={name}").folder for name in ("one", "two"))
    folder = cut(tmp_path, "cut", at_step(8), *settings)
    (resumed,) = [one for one in go_on(folder) if isinstance(one, RunResumed)]
    assert resumed.step == 6
    assert distance(folder, first) <= SLACK * distance(first, second)


def test_the_gpus_generator_goes_on_where_it_was() -> None:
    device = torch.device("cuda")
    torch.rand(100, device=device)
    state = capture(device)
    expected = torch.rand(100, device=device)
    torch.rand(7, device=device)
    restore(state, device)
    assert torch.equal(torch.rand(100, device=device), expected)


def test_our_own_layers_were_at_work(tmp_path: Path) -> None:
    done = train(in_folder(tmp_path), *GPU, *OWN_LAYERS)
    (ready,) = done.of(ModelReady)
    assert any(swap.startswith("decoder layers of tuner") for swap in ready.swaps)


@pytest.mark.parametrize("name", ["adamw_8bit", "paged_adamw", "paged_adamw_8bit"])
def test_a_checkpoint_holds_every_state_of_the_optimizer(name: str, tmp_path: Path) -> None:
    done = train(in_folder(tmp_path), *GPU, f"optimizer.name={name}")
    found, damaged = newest_whole(done.folder / "checkpoints")
    assert found is not None
    assert not damaged
    assert (found.folder / "optimizer.safetensors").stat().st_size > 10_000
    assert found.state.random.torch_cuda is not None


def test_a_run_of_a_processor_goes_on_on_a_gpu_with_a_warning(tmp_path: Path) -> None:
    folder = stopped(in_folder(tmp_path), "one", 3, "training.max_steps=6", "training.save_every=3")
    recipe = folder / "recipe.toml"
    recipe.write_text(recipe.read_text().replace('device = "cpu"', 'device = "cuda"'))
    go_on(folder, accept=True)
    assert any("goes on on" in str(event) for event in read_events(folder))
