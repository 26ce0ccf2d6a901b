"""One tiny model twice: by its own layers and by ours, with the same adapters that do something. Asserts nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from tests.engine.test_families import LENGTHS, rows, write_case
from tests.engine.tiny_runs import recipe_in
from tui_tuner.engine.acceleration.accelerate import Prepared, prepare
from tui_tuner.engine.acceleration.decoder import Decoder
from tui_tuner.engine.acceleration.flattening import FlatSet
from tui_tuner.engine.acceleration.micro_step import MicroStep, can_step
from tui_tuner.engine.adapters import TrainedSet, add_adapters
from tui_tuner.engine.batches import MicroBatch, collate
from tui_tuner.engine.loading import load_model
from tui_tuner.engine.model import TrainingModel
from tui_tuner.engine.optimizers import trainable_groups
from tui_tuner.hardware import probe_hardware
from tui_tuner.kernels.cross_entropy import LossSum
from tui_tuner.kernels.layer.parts import KEEP, OFFLOAD, OFFLOAD_INPUT, OFFLOAD_LEAN, RECOMPUTE, Policy
from tui_tuner.kernels.linear_cross_entropy import Head
from tui_tuner.plan import RunPlan
from tui_tuner.planning.run_plan import make_plan

POLICIES = {
    "keep": KEEP,
    "recompute": RECOMPUTE,
    "offload": OFFLOAD,
    "keep qkv": Policy(keeps_qkv=True),
    "offload, lean": OFFLOAD_LEAN,
    "offload, input": OFFLOAD_INPUT,
}
ALL = tuple(range(len(LENGTHS)))
BATCHES = {
    "packed": collate(rows(), [ALL]),
    "padded": collate(rows(), [(index,) for index in ALL]),
    "two packs": collate(rows(), [ALL, ALL[1:]]),
    "equal": collate(rows(), [(1,), (1,)]),
}


@dataclass(frozen=True)
class Answer:
    """What a model says of a batch, and the gradients of everything that is trained."""

    loss: float
    log_probabilities: Tensor
    gradients: tuple[Tensor, ...]

    @property
    def flat(self) -> Tensor:
        return torch.cat([gradient.flatten().double().cpu() for gradient in self.gradients])


@dataclass(frozen=True)
class Twins:
    plan: RunPlan
    model: TrainingModel
    trained: TrainedSet
    prepared: Prepared
    theirs: dict[str, Answer]
    """By name of the batch."""

    @property
    def flat(self) -> FlatSet:
        assert self.prepared.flat is not None
        return self.prepared.flat

    def ours(self, batch: str, policy: Policy = KEEP) -> Answer:
        self.flat.flat.gradients.zero_()
        model = with_policy(self.prepared.model, policy)
        sums = model.loss(BATCHES[batch].to(model.device))
        sums.loss.backward()
        return _answer(sums, [_gradient(one.parameter).clone() for one in self.trained.tensors])

    def by_hand(self, batch: str, policy: Policy = KEEP) -> Answer:
        """As `ours`, without autograd; the log-probabilities are left out."""
        self.flat.flat.gradients.zero_()
        model = with_policy(self.prepared.model, policy)
        loss = model.add_gradients(BATCHES[batch], 1)
        return Answer(
            float(loss), torch.empty(0), tuple(_gradient(one.parameter).clone() for one in self.trained.tensors)
        )


def twins(
    folder: Path,
    case: str | Path,
    *overrides: str,
    batches: Sequence[str] = tuple(BATCHES),
    strength: float = 0.1,
    dequantized_layers: int = 0,
) -> Twins:
    """case: the name of one of `test_families`, or the folder of a model. strength: standard deviation of adapters."""
    model_folder = case if isinstance(case, Path) else write_case(folder, case)
    plan = make_plan(recipe_in(folder, *overrides, model=model_folder), probe_hardware())
    plan = plan.model_copy(update={"dequantized_layers": dequantized_layers})
    model = load_model(plan)
    trained = add_adapters(model.module, plan.adapter, model.compute_dtype)
    torch.manual_seed(1)
    with torch.no_grad():
        for one in trained.tensors:
            noise = torch.randn_like(one.parameter) * strength
            one.parameter.copy_(noise if one.group.startswith("lora") else one.parameter + noise)
    theirs = {name: _their_answer(model, trained, BATCHES[name]) for name in batches}
    groups = {group.name: number for number, group in enumerate(trainable_groups(trained, plan))}
    return Twins(plan, model, trained, prepare(model, trained, plan, groups), theirs)


def decoder_of(model: TrainingModel) -> Decoder:
    assert model.decoder is not None
    return model.decoder


def with_policy(model: TrainingModel, policy: Policy) -> TrainingModel:
    decoder = decoder_of(model)
    stack = replace(decoder.stack, policies=(policy,) * len(decoder.stack.layers))
    decoder, head = replace(decoder, stack=stack), model.head
    weight: Tensor = model.module.get_output_embeddings().weight  # type: ignore[operator]
    if head is None or not can_step(decoder, weight):
        return replace(model, decoder=decoder)
    return replace(model, decoder=decoder, micro_step=MicroStep(decoder, Head(weight, options=head)))


def _their_answer(model: TrainingModel, trained: TrainedSet, batch: MicroBatch) -> Answer:
    sums = model.loss(batch.to(model.device))
    return _answer(sums, torch.autograd.grad(sums.loss, [one.parameter for one in trained.tensors]))


def _answer(sums: LossSum, gradients: Sequence[Tensor]) -> Answer:
    return Answer(float(sums.loss.detach()), sums.log_probabilities.detach().cpu(), tuple(gradients))


def _gradient(parameter: Tensor) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad
