"""NF4 weights written out: what a base model really was while an adapter was trained on its 4-bit form."""

from collections.abc import Mapping

import bitsandbytes as bnb
import torch
from torch import Tensor

BLOCK_SIZE = 64
"""bitsandbytes' own default, which loading uses too."""
STORED_PARTS = (
    "absmax",
    "quant_map",
    "nested_absmax",
    "nested_quant_map",
    "quant_state.bitsandbytes__nf4",
    "quant_state.bitsandbytes__fp4",
)
"""Tensors beside a packed weight in a checkpoint that is stored in four bits."""


def through_nf4(weight_OI: Tensor, compute_dtype: torch.dtype, device: torch.device) -> Tensor:
    """[O, I] in the compute type: quantised as loading quantises, and turned back."""
    packed, state = bnb.functional.quantize_4bit(
        weight_OI.to(device, compute_dtype), blocksize=BLOCK_SIZE, compress_statistics=True, quant_type="nf4"
    )
    return bnb.functional.dequantize_4bit(packed, state).cpu()


def from_stored(packed: Tensor, parts: Mapping[str, Tensor], device: torch.device) -> Tensor:
    """[O, I]: a weight that a checkpoint holds in four bits; `parts` are the tensors beside it, by `STORED_PARTS`."""
    state = bnb.functional.QuantState.from_dict(dict(parts), device=device)
    return bnb.functional.dequantize_4bit(packed.to(device), state).cpu()
