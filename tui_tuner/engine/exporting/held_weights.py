"""A base's weights as they were while an adapter was trained on them: through fewer bits and back."""

import torch
from torch import Tensor

from tui_tuner.engine.exporting.nf4_weights import through_nf4
from tui_tuner.engine.fp8_base import through_fp8
from tui_tuner.exports import HeldIn


def through(held_in: HeldIn, weight_OI: Tensor, compute_dtype: torch.dtype, device: torch.device) -> Tensor:
    """[O, I] in the compute type, in host memory: quantised as loading quantises, and turned back."""
    return (through_nf4 if held_in == "nf4" else through_fp8)(weight_OI, compute_dtype, device)
