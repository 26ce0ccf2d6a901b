"""The base model on its device, and its one forward pass that training, evaluation and proof all share."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor, nn

from tui_tuner.engine.acceleration.decoder import Decoder
from tui_tuner.engine.acceleration.graphs import GraphedSteps
from tui_tuner.engine.batches import MicroBatch
from tui_tuner.kernels.linear_cross_entropy import (
    IGNORED_LABEL,
    HeadOptions,
    LossSum,
    cross_entropy_of_logits,
    linear_cross_entropy,
)


class MicroStep(Protocol):
    """Loss and gradients of micro-batches without autograd."""

    def __call__(self, batch: MicroBatch, factor: Tensor) -> Tensor:
        """factor * summed loss, whose gradients it adds where they belong."""

    def num_tokens(self, batch: MicroBatch) -> int:
        """That it computes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingModel:
    """A Hugging Face causal language model, and how its loss is computed."""

    module: nn.Module
    device: torch.device
    compute_dtype: torch.dtype
    head: HeadOptions | None
    """Options of the fused head; None takes the loss from the logits that the model itself gives."""
    uses_autocast: bool
    """Full fine-tuning holds float32 weights and computes in the compute type."""
    decoder: Decoder | None = None
    """Our own layers over the module's weights; None where the module computes by itself. The loss alone uses them."""
    obstacle: str = ""
    """Why there are none."""
    micro_step: MicroStep | None = None
    """Gradients without autograd, by the decoder's own layers; None where more is trained than they hold."""

    def add_gradients(self, batch: MicroBatch, divisor: int) -> Tensor:
        """Adds the gradients of the batch's summed loss / divisor to those of the trained tensors; returns that loss.

        What is returned is overwritten by the next call.
        """
        batch = batch.to(self.device)
        if self.micro_step is not None:
            factor = torch.full((), 1.0 / divisor, device=self.device)
            return self.micro_step(batch, factor)
        loss = self.loss(batch).loss / divisor
        loss.backward()
        return loss.detach()

    def num_tokens(self, batch: MicroBatch) -> int:
        """That a step of this batch computes: our own layers leave the padding of rows out, and may fill up packs."""
        if self.decoder is None:
            return batch.input_ids_BT.numel()
        return batch.num_tokens if self.micro_step is None else self.micro_step.num_tokens(batch)

    def drop_buffers(self) -> None:
        """Give back what our own layers keep from one micro-batch to the next; the next makes it anew."""
        if isinstance(self.micro_step, GraphedSteps):
            self.micro_step.forget()
        if self.decoder is not None:
            self.decoder.stack.space.release()
            self.decoder.stack.host.release()

    def leave_evaluation(self) -> None:
        """Give back buffers that evaluating alone may have made; recordings hold on to theirs."""
        if self.decoder is not None and not isinstance(self.micro_step, GraphedSteps):
            self.decoder.stack.space.release()

    def by_launches(self) -> "TrainingModel":
        """The same without recordings."""
        return replace(self, micro_step=self.micro_step.eager) if isinstance(self.micro_step, GraphedSteps) else self

    def loss(self, batch: MicroBatch) -> LossSum:
        """Summed loss over the batch's trained tokens; never builds the logits of the whole batch if `head` is set."""
        labels_N = batch.labels_BT.flatten()
        with self.autocast():
            if self.head is None:
                return self._loss_from_logits(batch, labels_N)
            weight_VD = self.module.get_output_embeddings().weight  # type: ignore[operator]
            if self.decoder is not None:
                hidden_TD, labels_T = self.decoder.hidden(batch)
                return linear_cross_entropy(hidden_TD, weight_VD, labels_T, self.head, rows=batch.num_trained)
            decoder = self.module.get_decoder()  # type: ignore[operator]
            hidden_BTD = decoder(
                input_ids=batch.input_ids_BT, position_ids=batch.position_ids_BT, use_cache=False
            ).last_hidden_state
            return linear_cross_entropy(hidden_BTD.flatten(0, 1), weight_VD, labels_N, self.head)

    def _loss_from_logits(self, batch: MicroBatch, labels_N: Tensor) -> LossSum:
        logits_BTV = self.module(
            input_ids=batch.input_ids_BT, position_ids=batch.position_ids_BT, use_cache=False
        ).logits
        kept = labels_N != IGNORED_LABEL
        return cross_entropy_of_logits(logits_BTV.flatten(0, 1)[kept], labels_N[kept], HeadOptions())

    def autocast(self) -> AbstractContextManager[object]:
        """The context in which this model computes; does nothing unless all of it is trained in bfloat16."""
        if not self.uses_autocast or self.compute_dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.compute_dtype)
