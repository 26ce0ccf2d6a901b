"""The proof after saving: the adapter on disk, read by PEFT, says what the live model says and not what the base says.

The live model's own adapters are taken off, PEFT puts the saved ones on the same base, and all three are compared on
held-out rows. Nothing of the live adapter is used after its answers were taken.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from tui_tuner.data.labels import LabelledExample
from tui_tuner.engine.adapters import TrainedSet
from tui_tuner.engine.batches import collate
from tui_tuner.engine.loading import DTYPES, first_line, load_module, model_folder
from tui_tuner.engine.model import TrainingModel
from tui_tuner.engine.saving.files import file_hash, text_hash
from tui_tuner.engine.saving.foreign_adapter import put_on_base
from tui_tuner.errors import AdapterError
from tui_tuner.events import ProofFinished
from tui_tuner.kernels.linear_cross_entropy import IGNORED_LABEL
from tui_tuner.plan import RunPlan

MAX_POSITIONS = 512
"""Trained tokens that are compared; whole distributions of more would not fit beside a large vocabulary."""
TOLERANCES = {torch.float32: 1e-3, torch.bfloat16: 0.25}
"""Largest difference of a log-probability. In bfloat16 PEFT adds the adapter in another order than we do: one unit in
the last place of a logit near 30 is 0.125."""


@dataclass(frozen=True, slots=True)
class Scores:
    """What one model says on the proof rows."""

    distributions_NV: Tensor
    """[positions, vocabulary] float32 log-probabilities, in host memory."""
    of_labels_N: Tensor

    @property
    def loss(self) -> float:
        return -self.of_labels_N.double().mean().item()


def prove(
    model: TrainingModel, trained: TrainedSet, plan: RunPlan, folder: Path, examples: Sequence[LabelledExample]
) -> ProofFinished:
    """Compare saved, live and base on the examples. The live model cannot be trained afterwards.

    Args:
        folder: what was saved: an adapter, or the whole model after full fine-tuning.

    Raises:
        AdapterError: PEFT cannot read what was saved.
    """
    model.module.eval()
    mismatched = _mismatched_tensors(trained, plan, folder)
    with model.autocast():
        live = _scores(model.module, examples, model.device)
    if plan.adapter.method == "full":
        # One after the other: three whole models may not fit beside each other.
        model.module.to("meta")
        base = _scores(_load(plan, model_folder(plan), model), examples, model.device)
        saved = _scores(_load(plan, folder, model), examples, model.device)
    else:
        base_module = remove_adapters(model.module, trained)
        base = _scores(base_module, examples, model.device)
        saved = _scores(read_back(base_module, folder), examples, model.device)
    return _verdict(live, base, saved, mismatched, TOLERANCES[model.compute_dtype], folder, len(trained.tensors))


def _load(plan: RunPlan, folder: Path, model: TrainingModel) -> Any:
    remote_code = plan.recipe.model.remote_code
    return load_module(folder, model.device, model.compute_dtype, nf4_compute=None, remote_code=remote_code)


def read_back(base_module: Any, folder: Path) -> Any:
    """The base with the saved adapter on it, by PEFT. Raises AdapterError where PEFT cannot read the folder."""
    try:
        return put_on_base(base_module, folder)
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise AdapterError(
            f"{folder} could not be put on its base model: {first_line(error)}.",
            "It was made for another model, or the base has changed.",
        ) from error


def remove_adapters(module: Any, trained: TrainedSet) -> Any:
    """Put the base's own modules and weights back in place."""
    for path, original in trained.originals.items():
        parent, _, name = path.rpartition(".")
        setattr(module.get_submodule(parent), name, original)
    for one in trained.tensors:
        if one.name in trained.base_copies:
            one.parameter.data = trained.base_copies[one.name].to(one.parameter.device)
    for hook in trained.hooks:
        hook.remove()
    return module


@torch.inference_mode()
def _scores(module: Any, examples: Sequence[LabelledExample], device: torch.device) -> Scores:
    distributions: list[Tensor] = []
    labels: list[Tensor] = []
    for index in range(len(examples)):
        batch = collate(examples, [(index,)]).to(device)
        logits_TV = module(input_ids=batch.input_ids_BT, position_ids=batch.position_ids_BT, use_cache=False).logits[0]
        kept = batch.labels_BT[0] != IGNORED_LABEL
        distributions.append(logits_TV[kept].float().log_softmax(-1).cpu())
        labels.append(batch.labels_BT[0][kept].cpu())
        if sum(map(len, labels)) >= MAX_POSITIONS:
            break
    all_distributions, all_labels = torch.cat(distributions)[:MAX_POSITIONS], torch.cat(labels)[:MAX_POSITIONS]
    return Scores(all_distributions, all_distributions.gather(1, all_labels.unsqueeze(1)).squeeze(1))


def _mismatched_tensors(trained: TrainedSet, plan: RunPlan, folder: Path) -> list[str]:
    """Names of saved tensors that are not, bit for bit, what the model holds."""
    stored: dict[str, Tensor] = {}
    for file in sorted(folder.glob("*.safetensors")):
        stored |= load_file(file)
    live = {name: one.parameter.detach().cpu() for one in trained.tensors for name in one.saved_names}
    if plan.adapter.method == "full":
        live = {name: value.to(DTYPES[plan.dtype]) for name, value in live.items()}
    return sorted(
        name
        for name in live.keys() | stored.keys()
        if name not in live or name not in stored or not torch.equal(live[name], stored[name])
    )


def _verdict(
    live: Scores, base: Scores, saved: Scores, mismatched: list[str], tolerance: float, folder: Path, tensors: int
) -> ProofFinished:
    to_live = (saved.of_labels_N - live.of_labels_N).abs().max().item()
    to_base = (saved.of_labels_N - base.of_labels_N).abs().mean().item()
    kl = (saved.distributions_NV.exp() * (saved.distributions_NV - base.distributions_NV)).sum(-1).mean().item()
    if mismatched:
        message = f"{len(mismatched)} saved tensors differ from the model in memory, first {mismatched[0]}"
    elif not to_live <= tolerance:
        message = f"the saved adapter answers otherwise than the live model: {to_live:.4f} is above {tolerance}"
    elif not to_base > 0:
        message = "this adapter does nothing: with it the model answers exactly as the base"
    else:
        message = f"saved equals live (max {to_live:.1e}), differs from base (mean {to_base:.3f}, KL {kl:.3f})"
    return ProofFinished(
        passed=not mismatched and to_live <= tolerance and to_base > 0,
        positions=len(live.of_labels_N),
        max_difference_to_live=to_live,
        tolerance=tolerance,
        mean_difference_to_base=to_base,
        kl_to_base=kl,
        loss_saved=saved.loss,
        loss_live=live.loss,
        loss_base=base.loss,
        tensors=tensors,
        adapter_hash=text_hash("".join(file_hash(file) for file in sorted(folder.glob("*.safetensors")))),
        message=message,
    )
