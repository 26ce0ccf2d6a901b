"""Moves everything that is trained into one buffer, and its gradients into another beside it."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from tui_tuner.engine.adapters import TrainedSet
from tui_tuner.kernels.flat_parameters import FlatParameter, FlatParameters, flat_parameters


@dataclass(frozen=True, slots=True)
class WorkingCopy:
    """Where the products read a trained matrix, in the type that they compute in."""

    place: Tensor
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class FlatSet:
    """The buffers, and where each trained tensor lies in them."""

    flat: FlatParameters
    indices: Mapping[str, int]
    """By `TrainedTensor.name`."""

    def start(self, name: str) -> int:
        return self.flat.starts[self.indices[name]]


@torch.no_grad()
def flatten(trained: TrainedSet, groups: Mapping[str, int], copies: Mapping[str, WorkingCopy]) -> FlatSet:
    """The parameters become views of the buffers, and so do their gradients, which start at zero.

    Args:
        groups: the optimizer's number of each group.
        copies: by name of the trained tensor.
    """
    parameters = []
    for one in trained.tensors:
        shape = tuple(one.parameter.shape)
        copy = copies.get(one.name)
        parameters.append(
            FlatParameter(
                (shape[0], shape[1]) if len(shape) == 2 else (1, one.parameter.numel()),
                groups[one.group],
                None if copy is None else copy.place,
                1.0 if copy is None else copy.scale,
            )
        )
    flat = flat_parameters(parameters, trained.tensors[0].parameter.device)
    for index, one in enumerate(trained.tensors):
        value = flat.value(index).view(one.parameter.shape)
        one.parameter.data = value.copy_(one.parameter.data)
        one.parameter.grad = flat.gradient(index).view(one.parameter.shape)
    return FlatSet(flat, {one.name: index for index, one in enumerate(trained.tensors)})
