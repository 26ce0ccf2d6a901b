"""Base weights in 8-bit floats (e4m3, one scale for each output): the linear modules that hold them.

By themselves they multiply with what the bytes stand for, in the type of the input; products in 8 bits are those of our
own decoder layers (`kernels.fp8`), which read the same bytes.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from tui_tuner.families import family_for
from tui_tuner.kernels.fp8_rows import DTYPE, Fp8Rows, dequantize_rows, quantize_rows


class Fp8Linear(nn.Linear):
    """A frozen linear module. A linear one by class, so that PEFT and our adapters take it for what it is."""

    weight_scales: Tensor

    def __init__(self, base: nn.Linear, device: torch.device) -> None:
        super().__init__(base.in_features, base.out_features, bias=False, device="meta")
        rows = quantize_rows(base.weight.data.to(device))
        # Held as bytes: what is no float to torch is not cast to another one by `to` or by PEFT.
        self.weight = nn.Parameter(rows.values.view(torch.uint8), requires_grad=False)
        self.bias = base.bias
        self.register_buffer("weight_scales", rows.scales, persistent=False)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name that torch gives it
        bias = None if self.bias is None else self.bias.to(input.dtype)
        return functional.linear(input, from_bytes(self.weight, self.weight_scales, input.dtype), bias)


def from_bytes(weight: Tensor, scales: Tensor, dtype: torch.dtype) -> Tensor:
    """[O, I]: what the bytes of a weight stand for."""
    return dequantize_rows(Fp8Rows(weight.data.view(DTYPE), scales), dtype)


def through_fp8(weight_OI: Tensor, compute_dtype: torch.dtype, device: torch.device) -> Tensor:
    """[O, I] in the compute type: quantised as loading quantises, and turned back."""
    return dequantize_rows(quantize_rows(weight_OI.to(device, compute_dtype)), compute_dtype).cpu()


@torch.no_grad()
def hold_in_fp8(model: nn.Module, device: torch.device | None = None) -> None:
    """Exchange the linear modules of the decoder layers, one after the other; each 16-bit weight is let go of.

    device: where their weights go; None where they lie. The model's other tensors stay where they are.
    """
    for parent, name, linear in list(decoder_linears(model)):
        setattr(parent, name, Fp8Linear(linear, device or linear.weight.device).train(linear.training))


def decoder_linears(model: nn.Module) -> Iterator[tuple[nn.Module, str, nn.Linear]]:
    """Parent, name and module of each linear module in the decoder layers of a known family."""
    family = family_for(str(getattr(model.config, "model_type", "")))
    for parent in list(model.get_submodule(family.layers_path).modules()):
        for name, module in list(parent.named_children()):
            if isinstance(module, nn.Linear):
                yield parent, name, module
