"""Runs the checks of every kernel on one device, one row each as it is done.

Small random tensors beside float64; a kernel that cannot run becomes a row that says so, and the next one follows.
"""

import math
from collections.abc import Callable, Iterator

import torch
from triton.errors import TritonError

from tui_tuner.kernels import (
    adamw,
    cross_entropy,
    dropout,
    fp8,
    gated_product,
    layer_norm,
    linear_cross_entropy,
    nf4,
    rms_norm,
    rope,
)
from tui_tuner.kernels.attention import causal as attention
from tui_tuner.kernels.checking import Check
from tui_tuner.kernels.lora import gated_ranks, gated_sums, placing, thin_product
from tui_tuner.kernels.lora import gradients as adapter_gradients
from tui_tuner.kernels.lora import linear as lora_linear
from tui_tuner.kernels.lora import plain as lora_plain

OPERATIONS: tuple[tuple[str, Callable[[torch.device], Iterator[Check]]], ...] = (
    ("RMSNorm", rms_norm.checks),
    ("LayerNorm", layer_norm.checks),
    ("RoPE", rope.checks),
    ("SwiGLU and GEGLU", gated_product.checks),
    ("gated product with x A^T", gated_ranks.checks),
    ("gated product with adapters' sums", gated_sums.checks),
    ("attention", attention.checks),
    ("cross entropy", cross_entropy.checks),
    ("linear + cross entropy", linear_cross_entropy.checks),
    ("NF4", nf4.checks),
    ("fp8", fp8.checks),
    ("fused LoRA", lora_linear.checks),
    ("thin product", thin_product.checks),
    ("adapters in place", placing.checks),
    ("LoRA", lora_plain.checks),
    ("adapter gradients", adapter_gradients.checks),
    ("dropout", dropout.checks),
    ("AdamW", adamw.checks),
)


def run_checks(device: torch.device) -> Iterator[Check]:
    """Every check of every kernel. Where one raises, the rest of its operation is left out."""
    for name, checks in OPERATIONS:
        yield from checks_of(name, checks, device)


def checks_of(
    name: str, checks: Callable[[torch.device], Iterator[Check]], device: torch.device
) -> Iterator[Check]:  # fmt: skip
    """The checks of one operation, and a failed row in place of those after one that raises."""
    try:
        yield from checks(device)
    except (RuntimeError, TritonError, NotImplementedError) as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        yield Check(name, "", error=math.nan, allowed=0.0, failure=reason)
