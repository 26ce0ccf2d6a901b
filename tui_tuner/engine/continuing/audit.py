"""The audit of a loaded adapter: what its file holds against what the model really trains, and losses.

What it must never let through: an adapter whose embeddings and head are in the file and in the model, and frozen.
"""

import math
from collections.abc import Iterable, Mapping
from math import prod
from typing import Literal

from torch import nn

from tui_tuner.engine.adapters import TrainedSet
from tui_tuner.engine.continuing.loading import LoadedAdapter
from tui_tuner.errors import AdapterError
from tui_tuner.events import AdapterAudited, AuditedGroup, TrainableGroup

AuditedName = Literal["lora", "embedding", "head", "norm", "other"]
GROUPS: tuple[AuditedName, ...] = ("lora", "embedding", "head", "norm", "other")
LOW_RANK = ("lora_A", "lora_B", "magnitude")
WORSE_BY = 1.0
"""Nats that the loss may rise by loading on a base that is not known: rows of another subject cost less, another base
of the same shape costs several."""
OTHER_THAN_LOGGED = 0.02
"""Share by which the loss on the very rows of the earlier run may differ: products in another order or precision."""


def audit(
    loaded: LoadedAdapter, module: nn.Module, trained: TrainedSet, groups: Iterable[TrainableGroup]
) -> AdapterAudited:
    """Count and compare. The verdict is in `problem`.

    Args:
        module: the model as it will be trained; what counts is requires_grad of its parameters.
        groups: of the optimizer, with their learning rates.
    """
    stored = {one.name: prod(one.shape) for one in loaded.adapter.tensors}
    live = {id(parameter) for parameter in module.parameters() if parameter.requires_grad}
    missing = [one.saved_names[0] for one in trained.tensors if not stored.keys() & set(one.saved_names)]
    is_trained = {name: id(one.parameter) in live for one in trained.tensors for name in one.saved_names}
    unmatched = [name for name in stored if not is_trained.get(name, False)]
    audited = AdapterAudited(
        folder=str(loaded.adapter.folder),
        groups=_groups(stored, module, trained, groups),
        missing=tuple(missing),
        unmatched=tuple(unmatched),
        loss_before=loaded.loss_before,
        loss_after=loaded.loss_after,
        rows=loaded.rows,
        loss_logged=loaded.logged.loss if loaded.logged else None,
        step_logged=loaded.logged.step if loaded.logged else None,
        is_same_data=loaded.is_same_data and loaded.logged is not None,
        base_confirmed=loaded.base_confirmed,
    )
    return audited.model_copy(update={"problem": _problem(audited)})


def refuse(audited: AdapterAudited) -> None:
    """Raises AdapterError where the audit found a problem."""
    if audited.problem:
        raise AdapterError(
            f"{audited.folder} is not gone on with: {audited.problem}.",
            "Check that model.source is the base that it was trained on; nothing was trained yet.",
        )


def _groups(
    stored: Mapping[str, int], module: nn.Module, trained: TrainedSet, groups: Iterable[TrainableGroup]
) -> tuple[AuditedGroup, ...]:
    rates = {group.name: group.learning_rate for group in groups}
    kinds = {id(one.parameter): _audited(one.group) for one in trained.tensors}
    expected = dict.fromkeys(GROUPS, 0)
    actual = dict.fromkeys(GROUPS, 0)
    found: dict[AuditedName, dict[float, None]] = {name: {} for name in GROUPS}
    for one in trained.tensors:
        in_file = next((stored[name] for name in one.saved_names if name in stored), 0)
        expected[_audited(one.group)] += in_file
        found[_audited(one.group)][rates.get(one.group, 0.0)] = None
    for parameter in module.parameters():
        if parameter.requires_grad:
            actual[kinds.get(id(parameter), "other")] += parameter.numel()
    return tuple(
        AuditedGroup(name=name, expected=expected[name], trainable=actual[name], learning_rates=tuple(found[name]))
        for name in GROUPS
        if expected[name] or actual[name]
    )


def _audited(group: str) -> AuditedName:
    return "lora" if group in LOW_RANK else next((name for name in GROUPS if name == group), "other")


def _problem(audited: AdapterAudited) -> str:
    names = _some(audited.unmatched), _some(audited.missing)
    if audited.unmatched:
        return f"{names[0]} of its file would not be trained"
    if audited.missing:
        return f"{names[1]} would be trained and is not in its file"
    for group in audited.groups:
        if group.expected != group.trainable:
            return f"of {group.name} its file holds {group.expected:,} parameters, {group.trainable:,} would be trained"
        if not all(rate > 0 for rate in group.learning_rates):
            return f"{group.name} has a learning rate of 0"
    return _problem_of_losses(audited)


def _problem_of_losses(audited: AdapterAudited) -> str:
    before, after, logged = audited.loss_before, audited.loss_after, audited.loss_logged
    if not math.isfinite(after):
        return f"with it the loss on {audited.rows} is {after}"
    if not audited.base_confirmed and after > before + WORSE_BY:
        return (
            f"with it the loss on {audited.rows} rises from {before:.4f} to {after:.4f}, "
            "as it does on another base of the same shape"
        )
    if audited.is_same_data and logged is not None and abs(after - logged) > OTHER_THAN_LOGGED * max(logged, 1.0):
        return f"on the same rows the run that made it had a loss of {logged:.4f}, now it is {after:.4f}"
    return ""


def _some(names: tuple[str, ...]) -> str:
    return (names[0] if names else "") + (f" and {len(names) - 1} more" if len(names) > 1 else "")
