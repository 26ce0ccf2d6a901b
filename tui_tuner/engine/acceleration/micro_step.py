"""Loss and gradients of one micro-batch without autograd: launches in a fixed order, none that waits for the device.

It can be recorded as a CUDA graph, whose inputs are the tensors of `Tokens` and the factor.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from tui_tuner.engine.acceleration.decoder import Decoder, Tokens, in_one_line
from tui_tuner.engine.batches import MicroBatch
from tui_tuner.kernels import rms_norm
from tui_tuner.kernels.layer.stack import run_backward, run_forward
from tui_tuner.kernels.linear_cross_entropy import Head, HeadGradients, head_loss


@dataclass(frozen=True, slots=True)
class MicroStep:
    """One model's."""

    decoder: Decoder
    head: Head

    def __call__(self, batch: MicroBatch, factor: Tensor) -> Tensor:
        """`add_gradients` of a batch on the device."""
        return self.run(in_one_line(batch), batch.num_trained, factor)

    def run(self, tokens: Tokens, rows: int, factor: Tensor) -> Tensor:
        return add_gradients(self.decoder, self.head, tokens, rows, factor)


def can_step(decoder: Decoder, head_weight: Tensor) -> bool:
    """Whether nothing is trained but what the layers and the final norm hold: the rest is autograd's."""
    embedding = decoder.embedding.get_parameter("weight")
    return not (embedding.requires_grad or head_weight.requires_grad)


@torch.no_grad()
def add_gradients(decoder: Decoder, head: Head, tokens: Tokens, rows: int, factor: Tensor) -> Tensor:
    """Adds the gradients of factor * (summed loss) where they belong; returns that product, a scalar.

    Args:
        rows: number of labels in `tokens`, or a bound on it.
        factor: scalar on the device.
    """
    batch = decoder.batch(tokens)
    output, kept = run_forward(decoder.embedded(tokens), decoder.stack, batch)
    normed = rms_norm.forward(output, decoder.final_norm, decoder.norm)
    grad = output.new_empty(len(output) + 1, output.shape[1])
    loss = head_loss(normed.output, head, tokens.labels, rows, HeadGradients(grad)).loss
    grad = grad[:-1].mul_(factor)
    trains_norm = decoder.final_norm.requires_grad
    gradients = rms_norm.backward(
        grad, normed, decoder.final_norm, decoder.norm, trains_weight=trains_norm, grad_x=grad
    )
    if gradients.weight is not None and decoder.final_norm.grad is not None:
        decoder.final_norm.grad.add_(gradients.weight)
    run_backward(grad, kept, decoder.stack, batch, wants_x=False)
    return loss * factor
