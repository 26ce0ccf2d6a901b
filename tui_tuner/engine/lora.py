"""LoRA, rsLoRA and DoRA around one frozen linear module, 16/32-bit, fp8 or NF4.

Shapes: ... any leading dimensions, I in_features, O out_features, R rank.
"""

import math

import bitsandbytes as bnb
import torch
from torch import Tensor, nn
from torch.nn import functional

from tui_tuner.engine.fp8_base import from_bytes
from tui_tuner.errors import ModelError
from tui_tuner.plan import AdapterPlan, LoraTarget


class LoraLinear(nn.Module):
    """y = x Wᵀ + b + scaling · (dropout(x) Aᵀ) Bᵀ, with W and b frozen and A, B in float32 (Hu et al. 2021).

    With DoRA the columns are rescaled: y = b + m / ‖W + scaling · B A‖ · (x Wᵀ + scaling · x Aᵀ Bᵀ), the norm taken
    per output row and held constant in the backward pass (Liu et al. 2024, section 4.3).

    It takes over the base module's own parameters under their own names, so that state-dict keys do not change.
    """

    def __init__(self, base: nn.Linear, plan: AdapterPlan, target: LoraTarget) -> None:
        super().__init__()
        self.in_features, self.out_features = base.in_features, base.out_features
        self.weight, self.bias = base.weight, base.bias
        self.weight_scales: Tensor | None
        self.register_buffer("weight_scales", scales_of(base), persistent=False)
        self.scaling, self.dropout = plan.scaling_of(target), plan.dropout
        device, rank = base.weight.device, plan.rank_of(target)
        self.lora_A = nn.Parameter(torch.empty(rank, base.in_features, device=device))
        self.lora_B = nn.Parameter(torch.zeros(base.out_features, rank, device=device))
        # The initialisation of the paper's code and of PEFT: B = 0 makes the adapter start as the identity.
        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))
        self.lora_magnitude_vector = nn.Parameter(self._adapted_row_norms()) if plan.use_dora else None

    def forward(self, x: Tensor) -> Tensor:
        base_O = project(x, self.weight, self.bias, self.weight_scales)
        dropped = functional.dropout(x, self.dropout, self.training)
        delta_O = functional.linear(functional.linear(dropped, self.lora_A.to(x.dtype)), self.lora_B.to(x.dtype))
        if self.lora_magnitude_vector is None:
            return base_O + self.scaling * delta_O
        scale_O = (self.lora_magnitude_vector / self._adapted_row_norms()).to(x.dtype)
        if dropped is x:
            unbiased_O = base_O if self.bias is None else base_O - self.bias.to(x.dtype)
        else:
            unbiased_O = project(dropped, self.weight, None, self.weight_scales)
        return base_O + (scale_O - 1) * unbiased_O + scale_O * self.scaling * delta_O

    @torch.no_grad()
    def _adapted_row_norms(self) -> Tensor:
        """[O] float32: Euclidean norm of each row of W + scaling · B A."""
        adapted_OI = dense_weight(self.weight, self.weight_scales).float() + self.scaling * (self.lora_B @ self.lora_A)
        return torch.linalg.vector_norm(adapted_OI, dim=1)


AnyLinear = LoraLinear | nn.Linear
"""A linear module of the base, with an adapter or without."""


class TrainedLinear(nn.Module):
    """A linear module trained in full: float32 master weights, products in the type of the input."""

    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = base.in_features, base.out_features
        self.weight, self.bias = base.weight, base.bias

    def forward(self, x: Tensor) -> Tensor:
        bias = None if self.bias is None else self.bias.to(x.dtype)
        return functional.linear(x, self.weight.to(x.dtype), bias)


def scales_of(module: nn.Module) -> Tensor | None:
    """[O, 1] float32 of a weight that is held in fp8; None for others."""
    scales = getattr(module, "weight_scales", None)
    return scales if isinstance(scales, Tensor) else None


def project(x: Tensor, weight: Tensor, bias: Tensor | None, scales: Tensor | None = None) -> Tensor:
    """x Wᵀ + b for a plain, an fp8 or an NF4 weight; gradients flow to x only where the weight is NF4."""
    if scales is not None:
        return functional.linear(x, from_bytes(weight, scales, x.dtype), bias)
    if not isinstance(weight, bnb.nn.Params4bit):
        return functional.linear(x, weight, bias)
    bias = None if bias is None else bias.to(x.dtype)
    return bnb.matmul_4bit(x, weight, bias=bias, quant_state=weight.quant_state).to(x.dtype)


def dense_weight(weight: Tensor, scales: Tensor | None = None) -> Tensor:
    """[O, I]: the weight itself, or what an NF4 or (in float32) an fp8 weight stands for."""
    if scales is not None:
        return from_bytes(weight, scales, torch.float32)
    if not isinstance(weight, bnb.nn.Params4bit):
        return weight
    return bnb.functional.dequantize_4bit(weight.data, weight.quant_state)


def as_linear(module: nn.Module, path: str) -> nn.Linear:
    """The module, if an adapter can sit on it. Raises ModelError naming what was found instead."""
    if isinstance(module, nn.Linear):
        return module
    raise ModelError(
        f"{path} is {type(module).__name__}, and an adapter needs a linear module.",
        "Leave it out of adapter.targets.",
    )
