"""Language-model head and cross entropy in one pass over the supervised rows; the full logits never exist.

Rows whose label is -100 are left out before the product with the head. The others go through in chunks: logits, loss
and the gradient of the logits share one buffer of [chunk, vocabulary], and only the gradient of the hidden states
(and, where the head is trained, of its weight) outlives the chunk.

Shapes: N rows (tokens), D hidden size, V vocabulary.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

IGNORED_LABEL = -100
CHUNK_BYTES = 256 * 2**20
"""Size of the float32 logits buffer that a chunk may take."""


@dataclass(frozen=True, slots=True)
class HeadOptions:
    """What happens between the head's product and the loss."""

    logit_scale: float = 1.0
    """Logits are multiplied by this (Cohere), or by the inverse of Granite's `logits_scaling`."""
    softcap: float | None = None
    """Logits become softcap * tanh(logits / softcap) (Gemma 2)."""


@dataclass(frozen=True, slots=True)
class LossSum:
    """Sums over the supervised rows; divide by `rows` of whatever set the mean is wanted over."""

    loss: Tensor
    """Scalar float32: summed negative log-likelihood; carries the gradient."""
    correct: Tensor
    """Scalar int64: rows whose most likely token is the label."""
    log_probabilities: Tensor
    """[supervised rows] float32, detached: log-probability of each label, in row order."""


def linear_cross_entropy(hidden_ND: Tensor, weight_VD: Tensor, labels_N: Tensor, options: HeadOptions) -> LossSum:
    """Summed cross entropy of `hidden @ weight.T` against labels; rows labelled -100 cost nothing."""
    kept = (labels_N != IGNORED_LABEL).nonzero().squeeze(1)
    loss, correct, log_probabilities = _LinearCrossEntropy.apply(
        hidden_ND.index_select(0, kept), weight_VD, labels_N.index_select(0, kept), options, torch.is_grad_enabled()
    )
    return LossSum(loss, correct, log_probabilities)


def linear_cross_entropy_reference(
    hidden_ND: Tensor, weight_VD: Tensor, labels_N: Tensor, options: HeadOptions
) -> LossSum:
    """The same with the whole logits in memory, by autograd."""
    kept = labels_N != IGNORED_LABEL
    return cross_entropy_of_logits(functional.linear(hidden_ND[kept], weight_VD), labels_N[kept], options)


def cross_entropy_of_logits(logits_NV: Tensor, labels_N: Tensor, options: HeadOptions) -> LossSum:
    """Summed cross entropy of logits that are already there; every row must be supervised."""
    logits_NV = _finish_logits(logits_NV, options)
    log_probabilities = -functional.cross_entropy(logits_NV, labels_N, reduction="none")
    correct = (logits_NV.argmax(-1) == labels_N).sum()
    return LossSum(-log_probabilities.sum(), correct, log_probabilities.detach())


def _finish_logits(logits_NV: Tensor, options: HeadOptions) -> Tensor:
    logits_NV = logits_NV.float() * options.logit_scale
    return logits_NV if options.softcap is None else options.softcap * torch.tanh(logits_NV / options.softcap)


class _LinearCrossEntropy(torch.autograd.Function):
    """Forward computes the gradients as well, scaled by 1; backward multiplies them by the incoming gradient."""

    @staticmethod
    def forward(
        ctx: Any, hidden_ND: Tensor, weight_VD: Tensor, labels_N: Tensor, options: HeadOptions, wants_gradient: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        ctx.trains_head = wants_gradient and ctx.needs_input_grad[1]
        ctx.head_dtype = weight_VD.dtype
        weight_VD = weight_VD.to(hidden_ND.dtype)
        grad_hidden_ND = torch.empty_like(hidden_ND) if wants_gradient and ctx.needs_input_grad[0] else None
        grad_weight_VD = torch.zeros_like(weight_VD, dtype=torch.float32) if ctx.trains_head else None
        correct = torch.zeros((), dtype=torch.int64, device=hidden_ND.device)
        log_probabilities = torch.empty(len(labels_N), dtype=torch.float32, device=hidden_ND.device)
        chunk_rows = max(1, CHUNK_BYTES // (4 * weight_VD.shape[0]))
        for start in range(0, len(labels_N), chunk_rows):
            rows = slice(start, start + chunk_rows)
            logits_CV = _finish_logits(hidden_ND[rows] @ weight_VD.T, options)
            log_probabilities[rows] = _label_log_probabilities(logits_CV, labels_N[rows])
            correct += (logits_CV.argmax(-1) == labels_N[rows]).sum()
            if grad_hidden_ND is None and grad_weight_VD is None:
                continue
            grad_CV = _logit_gradient(logits_CV, labels_N[rows], options).to(hidden_ND.dtype)
            if grad_hidden_ND is not None:
                torch.mm(grad_CV, weight_VD, out=grad_hidden_ND[rows])
            if grad_weight_VD is not None:
                grad_weight_VD += grad_CV.T @ hidden_ND[rows]
        ctx.save_for_backward(grad_hidden_ND, grad_weight_VD)
        ctx.mark_non_differentiable(correct, log_probabilities)
        return -log_probabilities.sum(), correct, log_probabilities

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        grad_hidden_ND, grad_weight_VD = ctx.saved_tensors
        grad_loss = grad_outputs[0]
        grad_hidden_ND = None if grad_hidden_ND is None else (grad_hidden_ND * grad_loss).to(grad_hidden_ND.dtype)
        grad_weight_VD = None if grad_weight_VD is None else (grad_weight_VD * grad_loss).to(ctx.head_dtype)
        return grad_hidden_ND, grad_weight_VD, None, None, None


def _label_log_probabilities(logits_CV: Tensor, labels_C: Tensor) -> Tensor:
    at_label = logits_CV.gather(1, labels_C.unsqueeze(1)).squeeze(1)
    return at_label - torch.logsumexp(logits_CV, dim=-1)


def _logit_gradient(logits_CV: Tensor, labels_C: Tensor, options: HeadOptions) -> Tensor:
    """d(sum of losses) / d(raw logits): (softmax - onehot), through softcap (1 - tanh^2) and scale."""
    grad_CV = torch.softmax(logits_CV, dim=-1)
    grad_CV.scatter_add_(1, labels_C.unsqueeze(1), grad_CV.new_full((len(labels_C), 1), -1.0))
    if options.softcap is not None:
        grad_CV *= 1.0 - (logits_CV / options.softcap) ** 2
    return grad_CV * options.logit_scale
