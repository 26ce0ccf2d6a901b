"""The states of all random number generators of a process: Python, NumPy, torch on the CPU and on the run's GPU."""

import base64
import random

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict


class RandomState(BaseModel):
    """Generator states; those of NumPy and torch are bytes in base64."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    python_version: int
    python_words: tuple[int, ...]
    python_gauss: float | None
    numpy_keys: str
    numpy_place: int
    numpy_has_gauss: int
    numpy_gauss: float
    torch_cpu: str
    torch_cuda: str | None
    """Of the device that the run computes on; None on a CPU."""


def capture(device: torch.device) -> RandomState:
    """The states as they are now."""
    version, words, gauss = random.getstate()
    _, keys, place, has_gauss, numpy_gauss = np.random.get_state(legacy=True)
    is_cuda = device.type == "cuda"
    return RandomState(
        python_version=version,
        python_words=words,
        python_gauss=gauss,
        numpy_keys=base64.b64encode(np.asarray(keys, dtype="<u4").tobytes()).decode(),
        numpy_place=int(place),
        numpy_has_gauss=int(has_gauss),
        numpy_gauss=float(numpy_gauss),
        torch_cpu=_text(torch.get_rng_state()),
        torch_cuda=_text(torch.cuda.get_rng_state(device)) if is_cuda else None,
    )


def restore(state: RandomState, device: torch.device) -> None:
    """Let every generator go on from where it was."""
    random.setstate((state.python_version, state.python_words, state.python_gauss))
    keys = np.frombuffer(base64.b64decode(state.numpy_keys), dtype="<u4")
    np.random.set_state(("MT19937", keys, state.numpy_place, state.numpy_has_gauss, state.numpy_gauss))
    torch.set_rng_state(_tensor(state.torch_cpu))
    if state.torch_cuda is not None and device.type == "cuda":
        torch.cuda.set_rng_state(_tensor(state.torch_cuda), device)


def _text(state: torch.Tensor) -> str:
    return base64.b64encode(state.cpu().numpy().tobytes()).decode()


def _tensor(text: str) -> torch.Tensor:
    return torch.frombuffer(bytearray(base64.b64decode(text)), dtype=torch.uint8)
