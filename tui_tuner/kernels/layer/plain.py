"""What projections with dropout or DoRA have beside the joined product of all that read one input."""

from dataclasses import dataclass

from torch import Tensor

from tui_tuner.kernels.layer.parts import PlainAdapter, Projections
from tui_tuner.kernels.lora import plain as lora_plain
from tui_tuner.kernels.lora.fp8 import Fp8LoraWeight
from tui_tuner.kernels.lora.linear import AnyWeight
from tui_tuner.kernels.lora.plain import Dropout, PlainLora

PASS_STREAMS = 2**20
"""More than there are projections in a model: masks of each pass have streams of their own."""


@dataclass(frozen=True, slots=True)
class Masks:
    """What the masks of dropout follow from."""

    seed: Tensor
    """int64 scalar on the device, another one for each micro-batch."""
    first: int = 0
    """The first token of this pass."""

    def rows(self, rows: slice) -> "Masks":
        return Masks(self.seed, self.first + rows.start)


def add_adapters(x: Tensor, out: Tensor, projections: Projections, weight: AnyWeight, masks: Masks | None) -> None:
    """`out` [T, all outputs] holds the joined product of x [T, in]."""
    for one in projections.plain:
        lora_plain.add_adapter(x, out[:, one.rows], _lora(one, weight, masks))


def scale_gradient(dy: Tensor, projections: Projections, weight: AnyWeight, masks: Masks | None) -> None:
    """`dy` [T, all outputs] becomes the gradient of the joined product, and what the functions below want."""
    for one in projections.plain:
        lora_plain.scale_gradient(dy[:, one.rows], _lora(one, weight, masks))


def add_input_gradient(
    dy: Tensor, grad_x: Tensor, projections: Projections, weight: AnyWeight, masks: Masks | None
) -> None:
    """`grad_x` [T, in] holds the gradient through the joined product."""
    for one in projections.plain:
        lora_plain.add_input_gradient(dy[:, one.rows], grad_x, _lora(one, weight, masks))


def add_gradients(dy: Tensor, x: Tensor, projections: Projections, weight: AnyWeight, masks: Masks | None) -> None:
    """Those of the adapters."""
    for one in projections.plain:
        lora_plain.add_gradients(dy[:, one.rows], x, _lora(one, weight, masks), one.gradients)


def _lora(one: PlainAdapter, weight: AnyWeight, masks: Masks | None) -> PlainLora:
    drop = None
    if one.probability > 0.0 and masks is not None:
        drop = Dropout(one.probability, masks.seed, one.stream + PASS_STREAMS * masks.first)
    base = None if isinstance(weight, Fp8LoraWeight) else weight.base[one.rows]
    bias = None if weight.bias is None else weight.bias[one.rows]
    return PlainLora(base, one.a, one.b, one.scaling, bias, drop, one.magnitude, one.squares)
