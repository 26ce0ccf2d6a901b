"""The tensors of a checkpoint beside the adapter: what the optimizer keeps, and the master weights of a whole model."""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from tui_tuner.engine.adapters import TrainedSet
from tui_tuner.engine.optimizers import GroupedOptimizer
from tui_tuner.engine.saving.adapter_files import load_adapter
from tui_tuner.errors import AdapterError

OPTIMIZER = "optimizer.safetensors"
MASTERS = "masters.safetensors"
PAGED_KEYS = {"state1", "state2"}
"""bitsandbytes' names of the two moments."""
Numbers = dict[str, dict[str, int | float]]


def save_tensors(folder: Path, trained: TrainedSet, optimizer: GroupedOptimizer, *, is_full: bool) -> Numbers:
    """Write what the weight files of the folder do not hold; returns the optimizer's plain numbers by tensor name."""
    tensors: dict[str, Tensor] = {}
    numbers: Numbers = {}
    # Not its state_dict(): that of bitsandbytes wraps what is quantised.
    states = optimizer.optimizer.state
    for name, parameter in _numbered(trained, optimizer):
        for key, value in states.get(parameter, {}).items():
            if isinstance(value, Tensor):
                tensors[f"{key}/{name}"] = _on_host(value)
            else:
                numbers.setdefault(name, {})[key] = value
    save_file(tensors, folder / OPTIMIZER)
    if is_full:
        # The weights beside it are in the type that the model computes in.
        save_file({one.name: _on_host(one.parameter) for one in trained.tensors}, folder / MASTERS)
    return numbers


def load_tensors(folder: Path, trained: TrainedSet, optimizer: GroupedOptimizer, numbers: Numbers) -> None:
    """Fill weights and optimizer from a checkpoint; every tensor must be matched, both ways.

    Raises:
        AdapterError: the checkpoint is of another set of trained tensors, or cannot be read.
    """
    if (folder / MASTERS).is_file():
        _fill(trained, _read(folder / MASTERS), folder)
    else:
        load_adapter(folder, trained)
    states: dict[str, dict[str, Any]] = {name: dict(values) for name, values in numbers.items()}
    for key, value in _read(folder / OPTIMIZER).items():
        kind, _, name = key.partition("/")
        states.setdefault(name, {})[kind] = value
    if states and set(states) != set(optimizer.names):
        raise AdapterError(f"{folder / OPTIMIZER} is not of the tensors that are trained.", "See what changed.")
    optimizer.optimizer.load_state_dict(
        {
            "state": {index: states[name] for index, name in enumerate(optimizer.names) if states},
            "param_groups": optimizer.optimizer.state_dict()["param_groups"],
        }
    )
    if getattr(optimizer.optimizer, "is_paged", False):
        _page(trained, optimizer)


def tensor_bytes(trained: TrainedSet, optimizer: GroupedOptimizer) -> int:
    """What the tensors of one checkpoint take on the disk, about."""
    states = optimizer.optimizer.state.values()
    kept = sum(value.nbytes for state in states for value in state.values() if isinstance(value, Tensor))
    return kept + sum(one.parameter.nbytes * len(one.saved_names) for one in trained.tensors)


def _numbered(trained: TrainedSet, optimizer: GroupedOptimizer) -> list[tuple[str, torch.nn.Parameter]]:
    """The trained parameters in the optimizer's order."""
    by_name = {one.name: one.parameter for one in trained.tensors}
    return [(name, by_name[name]) for name in optimizer.names]


def _page(trained: TrainedSet, optimizer: GroupedOptimizer) -> None:
    """Loading made plain tensors of states that may move to host memory; make them that again."""
    inner: Any = optimizer.optimizer
    for _, parameter in _numbered(trained, optimizer):
        state = inner.state[parameter]
        for key in PAGED_KEYS & state.keys():
            paged = inner.get_state_buffer(parameter, dtype=state[key].dtype)
            state[key] = paged.copy_(state[key])


def _on_host(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", copy=True).contiguous()


def _read(path: Path) -> dict[str, Tensor]:
    try:
        # Tensors over a mapped file would keep it open, and be aligned otherwise than fresh ones.
        return {name: tensor.clone() for name, tensor in load_file(path).items()}
    except (OSError, SafetensorError) as error:
        raise AdapterError(f"{path} cannot be read: {error}.") from error


@torch.no_grad()
def _fill(trained: TrainedSet, stored: dict[str, Tensor], folder: Path) -> None:
    wanted = {one.name: one.parameter for one in trained.tensors}
    if {name: value.shape for name, value in stored.items()} != {name: one.shape for name, one in wanted.items()}:
        raise AdapterError(f"{folder / MASTERS} is not of the tensors that are trained.", "See what changed.")
    for name, parameter in wanted.items():
        parameter.copy_(stored[name])
