"""Parameter groups with their own learning rates, and the optimizer over them."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from tui_tuner.engine.adapters import Group, TrainedSet
from tui_tuner.events import TrainableGroup
from tui_tuner.plan import RunPlan

WITHOUT_DECAY: tuple[Group, ...] = ("norm", "magnitude")


class GroupedOptimizer:
    """An optimizer whose groups keep their peak rates; each step's rate is peak x schedule x what a person set."""

    def __init__(self, trained: TrainedSet, plan: RunPlan) -> None:
        self.groups = tuple(_groups(trained, plan))
        self.names = [one.name for group in self.groups for one in trained.tensors if one.group == group.name]
        """Of the trained tensors, in the order in which the optimizer numbers them."""
        self.parameters = [one.parameter for one in trained.tensors]
        self.optimizer = _optimizer(self._torch_groups(trained), plan)
        self.max_grad_norm = plan.recipe.optimizer.max_grad_norm

    def _torch_groups(self, trained: TrainedSet) -> list[dict[str, Any]]:
        return [
            {
                "params": [one.parameter for one in trained.tensors if one.group == group.name],
                "lr": group.learning_rate,
                "weight_decay": group.weight_decay,
            }
            for group in self.groups
        ]

    def clip(self) -> float:
        """Scale the gradients down to the recipe's norm. Returns their norm before that."""
        limit = self.max_grad_norm or float("inf")
        return float(nn.utils.clip_grad_norm_(self.parameters, limit))

    def step(self, learning_rate_factor: float) -> None:
        """Move the weights at each group's peak rate times the factor, and drop the gradients."""
        for group, ours in zip(self.optimizer.param_groups, self.groups, strict=True):
            group["lr"] = ours.learning_rate * learning_rate_factor
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)


def _groups(trained: TrainedSet, plan: RunPlan) -> Iterable[TrainableGroup]:
    rates = plan.learning_rates
    is_full = plan.adapter.method == "full"
    peaks: dict[Group, float] = {
        "lora_A": rates.adapter,
        "lora_B": rates.adapter * rates.lora_plus_ratio,
        "magnitude": rates.adapter,
        "embedding": rates.embedding,
        "head": rates.embedding,
        "norm": rates.norm,
        "other": rates.adapter if is_full else rates.norm,
    }
    for name, peak in peaks.items():
        parameters = [one.parameter for one in trained.tensors if one.group == name]
        if parameters:
            yield TrainableGroup(
                name=name,
                num_tensors=len(parameters),
                num_parameters=sum(parameter.numel() for parameter in parameters),
                learning_rate=peak,
                weight_decay=0.0 if name in WITHOUT_DECAY else plan.recipe.optimizer.weight_decay,
            )


def _optimizer(groups: list[dict[str, Any]], plan: RunPlan) -> torch.optim.Optimizer:
    section = plan.recipe.optimizer
    options: dict[str, Any] = {"betas": (section.beta1, section.beta2), "eps": section.epsilon}
    if section.name == "adamw":
        return torch.optim.AdamW(groups, fused=True, **options)
    import bitsandbytes.optim

    match section.name:
        case "adamw_8bit":
            return bitsandbytes.optim.AdamW8bit(groups, **options)
        case "paged_adamw":
            return bitsandbytes.optim.PagedAdamW32bit(groups, **options)
        case "paged_adamw_8bit":
            return bitsandbytes.optim.PagedAdamW8bit(groups, **options)
