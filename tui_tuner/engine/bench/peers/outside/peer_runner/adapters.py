"""A peer's LoRA tensors by the names that all systems share: PEFT's, without its prefix and the adapter's name."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

PREFIX = "base_model.model."
SUFFIX = ".default.weight"


def trained_parameters(model: Any) -> dict[str, torch.nn.Parameter]:
    """What is trained. Raises ValueError where it is more or other than LoRA matrices."""
    found = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    strangers = [name for name in found if not (name.startswith(PREFIX) and name.endswith(SUFFIX))]
    if strangers or not found:
        raise ValueError(f"trains what is no LoRA matrix: {(strangers or ['nothing'])[0]}")
    return {name.removeprefix(PREFIX).removesuffix(SUFFIX): parameter for name, parameter in found.items()}


@torch.no_grad()
def fill(parameters: dict[str, torch.nn.Parameter], path: Path) -> None:
    """Give the adapters their first values. Raises ValueError where the names differ."""
    values = load_file(path)
    if values.keys() != parameters.keys():
        different = sorted(values.keys() ^ parameters.keys())
        raise ValueError(f"trains other modules than were asked for: {different[0]}")
    for name, parameter in parameters.items():
        parameter.copy_(values[name])


def write_gradients(parameters: dict[str, torch.nn.Parameter], path: Path) -> None:
    """Raises ValueError where a tensor has none."""
    missing = [name for name, parameter in parameters.items() if parameter.grad is None]
    if missing:
        raise ValueError(f"no gradient reaches {missing[0]}")
    gradients: dict[str, Tensor] = {
        name: parameter.grad.float().cpu().contiguous()
        for name, parameter in parameters.items()
        if parameter.grad is not None
    }
    save_file(gradients, path)
