"""Layers of one model that keep different amounts give the gradients that those which keep everything give."""

from pathlib import Path

import pytest
import torch

from tests.engine.acceleration.twins import BATCHES, decoder_of, twins
from tests.engine.tiny_runs import recipe_in
from tests.tiny import write_tiny_model
from tui_tuner.engine.acceleration.accelerate import policies, refitted
from tui_tuner.hardware import probe_hardware
from tui_tuner.kernels.layer.parts import KEEP, OFFLOAD, RECOMPUTE
from tui_tuner.plan import LayerCounts, MemoryFit
from tui_tuner.planning.fitting.fit import fitted
from tui_tuner.planning.run_plan import make_plan

MIX = MemoryFit(recompute="offload", layers=LayerCounts(keep=2, recompute=1, offload=3))


def test_the_first_layers_wait_on_the_host_and_the_last_keep_everything(tmp_path: Path) -> None:
    plan = make_plan(recipe_in(tmp_path, model=write_tiny_model(tmp_path / "model")), probe_hardware())
    assert policies(fitted(plan, MIX), 6) == (OFFLOAD,) * 3 + (RECOMPUTE,) + (KEEP,) * 2


@pytest.mark.parametrize("counts", [(1, 1, 0), (1, 0, 1), (0, 1, 1)])
@pytest.mark.parametrize("case", ["llama", "gemma3"])
def test_a_mix_gives_the_same_gradients(tmp_path: Path, case: str, counts: tuple[int, int, int]) -> None:
    pair = twins(tmp_path, case, batches=[])
    pair.flat.flat.gradients.zero_()
    loss = float(pair.prepared.model.add_gradients(BATCHES["padded"], 1))
    gradients = pair.flat.flat.gradients.clone()
    layers = LayerCounts(keep=counts[0], recompute=counts[1], offload=counts[2])
    mixed = refitted(pair.prepared.model, fitted(pair.plan, MemoryFit(recompute="offload", layers=layers)))
    assert len(set(decoder_of(mixed).stack.policies)) == 2
    pair.flat.flat.gradients.zero_()
    assert float(mixed.add_gradients(BATCHES["padded"], 1)) == pytest.approx(loss, rel=1e-6)
    assert torch.allclose(pair.flat.flat.gradients, gradients, rtol=1e-4, atol=1e-6)
