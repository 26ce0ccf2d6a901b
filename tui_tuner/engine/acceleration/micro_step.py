"""Loss and gradients of one micro-batch without autograd: launches in a fixed order, none that waits for the device.

It can be recorded as a CUDA graph, whose inputs are the tensors of `Tokens` and the factor.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from tui_tuner.engine.acceleration.decoder import Decoder, FixedShape, Tokens, document_lengths, in_one_line
from tui_tuner.engine.batches import MicroBatch
from tui_tuner.kernels import rms_norm
from tui_tuner.kernels.layer.stack import Stack, gradient_buffer, run_backward, run_forward
from tui_tuner.kernels.linear_cross_entropy import CHUNK_BYTES, Head, HeadGradients, chunk_rows, head_loss
from tui_tuner.planning.own_layers.memory import LOGIT_ROWS


@dataclass(frozen=True, slots=True)
class MicroStep:
    """One model's."""

    decoder: Decoder
    head: Head
    fixed: FixedShape | None = None

    def num_tokens(self, batch: MicroBatch) -> int:
        """That go through the layers, packs filled up."""
        if self.fixed is not None and self.fixed.fits(document_lengths(batch)):
            return self.fixed.tokens
        return batch.num_tokens

    def __call__(self, batch: MicroBatch, factor: Tensor) -> Tensor:
        """`add_gradients` of a batch on the device."""
        return self.run(in_one_line(batch, self.fixed), batch.num_trained, factor)

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
    batch, stack = decoder.batch(tokens, is_trained=True), decoder.stack
    output, kept = run_forward(decoder.embedded(tokens), stack, batch)
    grad = gradient_buffer(stack, len(output) + 1)
    # The last row is the one that `head_loss` asks for.
    loss = _head(decoder, head, output, tokens.labels, rows, factor, grad.wide)
    del output
    run_backward(grad.rows(slice(0, -1)), kept, stack, batch, wants_x=False)
    return loss * factor


def _head(
    decoder: Decoder, head: Head, output: Tensor, labels: Tensor, rows: int, factor: Tensor, grad: Tensor
) -> Tensor:
    """The summed loss; the gradient of `output` [T, hidden] times factor goes into `grad` [T + 1, hidden]."""
    normed = rms_norm.forward(output, decoder.final_norm, decoder.norm)
    logits = _room_for_logits(decoder.stack, head, rows)
    loss = head_loss(normed.output, head, labels, rows, HeadGradients(grad), logits).loss
    grad = grad[:-1].mul_(factor)
    trains_norm = decoder.final_norm.requires_grad
    gradients = rms_norm.backward(
        grad, normed, decoder.final_norm, decoder.norm, trains_weight=trains_norm, grad_x=grad
    )
    if gradients.weight is not None and decoder.final_norm.grad is not None:
        decoder.final_norm.grad.add_(gradients.weight)
    return loss


def _room_for_logits(stack: Stack, head: Head, rows: int) -> Tensor | None:
    """Of a chunk, in the widest buffer of the layers, which is idle meanwhile; None where it is too small.

    Smaller chunks are slower (docs/performance.md): only where memory is so short that layers wait on the host.
    """
    buffer, vocabulary = stack.space.idle("gate_up"), len(head.weight_VD)
    is_short = any(policy.on_host for policy in stack.policies)
    least = LOGIT_ROWS * vocabulary * head.weight_VD.element_size() if is_short else CHUNK_BYTES
    if buffer is None or buffer.nbytes < least:
        return None
    count = chunk_rows(rows, vocabulary, buffer.element_size(), min(buffer.nbytes, CHUNK_BYTES))
    return buffer[: count * vocabulary].view(count, vocabulary)
