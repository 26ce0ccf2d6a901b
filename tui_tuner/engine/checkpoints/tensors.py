"""The tensors of a checkpoint beside the adapter: what the optimizer keeps, and the master weights of a whole model."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from tui_tuner.engine.adapters import TrainedSet
from tui_tuner.engine.optimizers import Optimizer, OptimizerState
from tui_tuner.engine.saving.adapter_files import load_adapter
from tui_tuner.errors import AdapterError

OPTIMIZER = "optimizer.safetensors"
MASTERS = "masters.safetensors"
Numbers = dict[str, dict[str, int | float]]


def save_tensors(folder: Path, trained: TrainedSet, optimizer: Optimizer, *, is_full: bool) -> Numbers:
    """Write what the weight files of the folder do not hold; returns the optimizer's plain numbers by tensor name."""
    state = optimizer.state()
    save_file({key: _on_host(value) for key, value in state.tensors.items()}, folder / OPTIMIZER)
    if is_full:
        # The weights beside it are in the type that the model computes in.
        save_file({one.name: _on_host(one.parameter) for one in trained.tensors}, folder / MASTERS)
    return {name: dict(values) for name, values in state.numbers.items()}


def load_tensors(folder: Path, trained: TrainedSet, optimizer: Optimizer, numbers: Numbers) -> None:
    """Fill weights and optimizer from a checkpoint; every tensor must be matched, both ways.

    Raises:
        AdapterError: the checkpoint is of another set of trained tensors, or cannot be read.
    """
    if (folder / MASTERS).is_file():
        _fill(trained, _read(folder / MASTERS), folder)
    else:
        load_adapter(folder, trained)
    optimizer.load(OptimizerState(_read(folder / OPTIMIZER), numbers))


def tensor_bytes(trained: TrainedSet, optimizer: Optimizer) -> int:
    """What the tensors of one checkpoint take on the disk, about."""
    kept = sum(value.nbytes for value in optimizer.state().tensors.values())
    return kept + sum(one.parameter.nbytes * len(one.saved_names) for one in trained.tensors)


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
