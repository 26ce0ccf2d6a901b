"""Whether a system computes what the reference computes: no figure of speed counts before that."""

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from tui_tuner.engine.bench.peers.outside.peer_runner.job import Answer, Base


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far a right result may be from the reference's, which rounds as well."""

    loss: float
    """Of the loss itself."""
    cosine: float


TOLERANCES: dict[Base, Tolerance] = {
    "f32": Tolerance(1e-4, 0.9999),
    "bf16": Tolerance(2e-3, 0.99),
    "nf4": Tolerance(3e-3, 0.985),
    "fp8": Tolerance(1e-2, 0.93),
}


@dataclass(frozen=True, slots=True)
class Reference:
    """Hugging Face's model with PEFT on the same rows."""

    loss: float
    gradients: Path


def gradient_cosine(left: Path, right: Path) -> float:
    """Between all gradients as one vector, in float64.

    Raises:
        ValueError: the files hold different tensors.
    """
    ours, theirs = load_file(left), load_file(right)
    if ours.keys() != theirs.keys():
        raise ValueError(f"other tensors have gradients: {sorted(ours.keys() ^ theirs.keys())[0]}")
    product = squares_left = squares_right = torch.zeros((), dtype=torch.float64)
    for name, one in ours.items():
        x, y = one.double().flatten(), theirs[name].double().flatten()
        product, squares_left, squares_right = product + x @ y, squares_left + x @ x, squares_right + y @ y
    return _quotient(product, squares_left * squares_right)


def fault_of(answer: Answer, cosine: float, reference: Reference, base: Base) -> str:
    """What is wrong with a result, in words; empty where nothing is."""
    allowed = TOLERANCES[base]
    loss = float("nan") if answer.check_loss is None else answer.check_loss
    if not abs(loss - reference.loss) <= allowed.loss * abs(reference.loss):
        return f"its loss is {loss:.4f}, the reference's {reference.loss:.4f}"
    if not cosine >= allowed.cosine:
        return f"its gradients' cosine with the reference's is {cosine:.4f}; {allowed.cosine} is asked for"
    return ""


def _quotient(product: Tensor, squares: Tensor) -> float:
    return float(product / squares.sqrt()) if float(squares) > 0 else 0.0
