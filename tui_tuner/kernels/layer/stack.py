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
    kept = []
    for index, (layer, policy) in enumerate(zip(stack.layers, stack.policies, strict=True)):
        x, saved = forward(x, layer, batch, stack.space, policy)
        if policy.on_host:
            _send(saved, index, stack.host)
        kept.append(saved)
    return x, kept


def run_backward(grad: Tensor, kept: list[Saved], stack: Stack, batch: Batch, *, wants_x: bool) -> Tensor | None:
    """The gradient of the input [T, hidden], where it is wanted. Empties `kept`, layer by layer."""
    space, (tokens, hidden) = stack.space, grad.shape
    top = space.extended("grad", tokens, hidden, stack.layers[-1].down.layout.padded_rank)
    top.wide.copy_(grad)
    for index in reversed(range(len(stack.layers))):
        saved = kept.pop()
        _prefetch(stack, index - 1)
        if stack.policies[index].on_host:
            _receive(saved, index, stack.host)
        ranks = stack.layers[index - 1].down.layout.padded_rank if index > 0 else 0
        below = space.extended("grad", tokens, hidden, ranks) if index > 0 or wants_x else None
        backward(top, stack.layers[index], batch, space, saved, below)
        top = below if below is not None else top
    return top.wide.clone() if wants_x else None


class _Decode(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, anchor: Tensor, stack: Stack, batch: Batch) -> Tensor:  # noqa: ARG004
        # Not by save_for_backward: each layer's tensors are let go of as soon as it is done.
        output, ctx.kept = run_forward(x, stack, batch)
        ctx.stack, ctx.batch = stack, batch
        return output

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        grad = run_backward(grad_outputs[0], ctx.kept, ctx.stack, ctx.batch, wants_x=ctx.needs_input_grad[0])
        return grad, None, None, None


def _send(saved: Saved, index: int, host: HostMemory) -> None:
    fields = (saved.x, saved.attended, saved.attention_output, saved.mlp_output)
    host.send(index, [tensor for tensor in fields if tensor is not None])
    saved.x = saved.attended = saved.attention_output = saved.mlp_output = None


def _prefetch(stack: Stack, index: int) -> None:
    if index >= 0 and stack.policies[index].on_host:
        stack.host.prefetch(index)


def _receive(saved: Saved, index: int, host: HostMemory) -> None:
    saved.x, saved.attended, *others = host.receive(index)
    if others:
        saved.attention_output, saved.mlp_output = others
