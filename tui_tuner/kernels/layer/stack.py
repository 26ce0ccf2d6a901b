"""All decoder layers of a model as one differentiable operation; each keeps what its policy says until backward."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tui_tuner.kernels.layer.backward import backward
from tui_tuner.kernels.layer.forward import forward
from tui_tuner.kernels.layer.parts import Batch, Layer, Policy
from tui_tuner.kernels.layer.saved import HostMemory, Saved
from tui_tuner.kernels.layer.workspace import Workspace
from tui_tuner.kernels.lora.layout import Extended

TRAVELLERS = ("x", "attended", "ranks", "middle", "attention_output", "mlp_output")
"""What of a layer may wait on the host: fields of `Saved`."""


@dataclass(frozen=True, slots=True)
class Stack:
    """The layers, and the memory that they share."""

    layers: tuple[Layer, ...]
    policies: tuple[Policy, ...]
    space: Workspace
    host: HostMemory
    anchor: Tensor
    """Requires a gradient and gets none: autograd comes by for its sake even where the input needs nothing."""


def decode(x: Tensor, stack: Stack, batch: Batch) -> Tensor:
    """x [T, hidden] -> [T, hidden], differentiable in x; other gradients are added where the layers say."""
    if not torch.is_grad_enabled():
        for layer in stack.layers:
            x = forward(x, layer, batch, stack.space, None)[0]
        return x
    output: Tensor = _Decode.apply(x, stack.anchor, stack, batch)
    return output


def run_forward(x: Tensor, stack: Stack, batch: Batch) -> tuple[Tensor, list[Saved]]:
    """Outside autograd: the output, and what `run_backward` needs."""
    stack.space.give_back("grad", "grad_attended")
    kept = []
    for index, (layer, policy) in enumerate(zip(stack.layers, stack.policies, strict=True)):
        x, saved = forward(x, layer, batch, stack.space, policy)
        if policy.on_host:
            _send(saved, index, stack.host)
        kept.append(saved)
    # Nothing that leaves for the host is to lie beside the logits.
    stack.host.arrive()
    return x, kept


def gradient_buffer(stack: Stack, tokens: int) -> Extended:
    """Where the gradient of the output goes, [tokens, hidden]: the one that `run_backward` works in."""
    down = stack.layers[-1].down.layout
    ranks = max(one.layout.padded_rank for layer in stack.layers for one in (layer.o, layer.down))
    return stack.space.extended("grad", tokens, down.out_features, ranks)


def run_backward(grad: Extended, kept: list[Saved], stack: Stack, batch: Batch, *, wants_x: bool) -> None:
    """`grad`, rows of a `gradient_buffer`, becomes the gradient of the input where that is wanted.

    Empties `kept`, layer by layer.
    """
    for index in reversed(range(len(stack.layers))):
        saved = kept.pop()
        _prefetch(stack, index - 1)
        if stack.policies[index].on_host:
            _receive(saved, index, stack.host)
        backward(grad, stack.layers[index], batch, stack.space, saved, wants_x=index > 0 or wants_x)


class _Decode(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, anchor: Tensor, stack: Stack, batch: Batch) -> Tensor:  # noqa: ARG004
        # Not by save_for_backward: each layer's tensors are let go of as soon as it is done.
        output, ctx.kept = run_forward(x, stack, batch)
        ctx.stack, ctx.batch = stack, batch
        return output

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        grad = gradient_buffer(ctx.stack, len(grad_outputs[0]))
        grad.wide.copy_(grad_outputs[0])
        wants_x = ctx.needs_input_grad[0]
        run_backward(grad, ctx.kept, ctx.stack, ctx.batch, wants_x=wants_x)
        return grad.wide.clone() if wants_x else None, None, None, None


def _send(saved: Saved, index: int, host: HostMemory) -> None:
    saved.on_host = tuple(name for name in TRAVELLERS if getattr(saved, name) is not None)
    host.send(index, [getattr(saved, name) for name in saved.on_host])
    for name in saved.on_host:
        setattr(saved, name, None)


def _prefetch(stack: Stack, index: int) -> None:
    if index >= 0 and stack.policies[index].on_host:
        stack.host.prefetch(index)


def _receive(saved: Saved, index: int, host: HostMemory) -> None:
    for name, tensor in zip(saved.on_host, host.receive(index), strict=True):
        setattr(saved, name, tensor)
