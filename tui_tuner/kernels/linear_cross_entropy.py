"""Language-model head and cross entropy in one pass over the supervised rows; the full logits never exist.

Rows labelled -100 are left out before the product with the head. The others go through in chunks: logits, loss and the
gradient of the logits share one buffer of [chunk, vocabulary], and only the gradient of the hidden states (and, where
the head is trained, of its weight and bias) outlives the chunk. With the number of rows given by the caller, nothing
here waits for the device, and shapes depend on that number alone, so that a CUDA graph can hold all of it.

Shapes: N rows (tokens), R supervised rows or a bound on them, C rows of a chunk, D hidden size, V vocabulary.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.nn import functional

from tui_tuner.kernels.checking import Check, check_against
from tui_tuner.kernels.cross_entropy import (
    IGNORED_LABEL,
    HeadOptions,
    LossSum,
    cross_entropy_of_logits,
    cross_entropy_rows,
)
from tui_tuner.kernels.launch import on_device_of
from tui_tuner.kernels.wide_product import add_product

__all__ = [
    "CHUNK_BYTES",
    "IGNORED_LABEL",
    "Head",
    "HeadGradients",
    "HeadLoss",
    "HeadOptions",
    "LossSum",
    "chunk_rows",
    "cross_entropy_of_logits",
    "head_loss",
    "linear_cross_entropy",
    "linear_cross_entropy_reference",
]

_IGNORED = tl.constexpr(IGNORED_LABEL)
CHUNK_BYTES = 256 * 2**20
"""Size that the logits of a chunk may take unless the caller has planned another: of the time of the head, 8 times that
saves 4 to 7 % (1 % of a step or less), and half of it costs 4 to 15 % (docs/performance.md)."""


@dataclass(frozen=True, slots=True)
class Head:
    """The last projection, in the dtype that it computes in."""

    weight_VD: Tensor
    bias_V: Tensor | None = None
    options: HeadOptions = field(default_factory=HeadOptions)


@dataclass(frozen=True, slots=True)
class HeadGradients:
    """Where gradients of the summed loss go; what is None is not computed."""

    hidden_ND: Tensor | None = None
    """Overwritten, zero in the rows without a label; [N + 1, D]: the last row takes what belongs to no token."""
    weight_VD: Tensor | None = None
    """float32, added to."""
    bias_V: Tensor | None = None
    """float32, added to."""


@dataclass(frozen=True, slots=True)
class HeadLoss:
    """Sums and rows of one pass; all on the device."""

    loss: Tensor
    """Scalar float32, detached; NaN where more rows are supervised than the caller said there could be."""
    correct: Tensor
    """Scalar int64."""
    log_probabilities_R: Tensor
    """float32, of each supervised row's label, in row order; 0 behind the last."""


def linear_cross_entropy(
    hidden_ND: Tensor,
    weight_VD: Tensor,
    labels_N: Tensor,
    options: HeadOptions,
    bias_V: Tensor | None = None,
    rows: int | None = None,
) -> LossSum:
    """Summed cross entropy of `hidden @ weight.T + bias`, differentiable; rows labelled -100 cost nothing.

    rows: the number of supervised rows or a bound on it, which the log-probabilities then have as their length (0
    behind the last row); None asks the device for the number and waits for the answer.
    Computes in the dtype of the hidden states, or in autocast's; gradients of the head are float32 up to its own dtype.
    """
    rows = int((labels_N != IGNORED_LABEL).sum()) if rows is None else rows
    device = hidden_ND.device.type
    if torch.is_autocast_enabled(device):
        hidden_ND = hidden_ND.to(torch.get_autocast_dtype(device))
    with torch.autocast(device, enabled=False):
        loss, correct, log_probabilities = _LinearCrossEntropy.apply(
            hidden_ND, weight_VD, bias_V, labels_N, _Call(options, rows, torch.is_grad_enabled())
        )
    return LossSum(loss, correct, log_probabilities)


def linear_cross_entropy_reference(
    hidden_ND: Tensor, weight_VD: Tensor, labels_N: Tensor, options: HeadOptions, bias_V: Tensor | None = None
) -> LossSum:
    """The same with the whole logits in memory, by autograd."""
    kept = labels_N != IGNORED_LABEL
    return cross_entropy_of_logits(functional.linear(hidden_ND[kept], weight_VD, bias_V), labels_N[kept], options)


def head_loss(
    hidden_ND: Tensor,
    head: Head,
    labels_N: Tensor,
    rows: int,
    gradients: HeadGradients,
    logits_CV: Tensor | None = None,
) -> HeadLoss:
    """Loss and, in the same pass, the gradients that have a place in `gradients`; all of the sum, not of a mean.

    rows: at least the number of supervised rows; with N or more nothing is gathered.
    logits_CV: work space, which also sets the rows of a chunk; in the dtype of `hidden_ND`.
    """
    num_tokens = hidden_ND.shape[0]
    supervised = _all_rows(labels_N) if rows >= num_tokens else _gather_rows(labels_N, rows)
    rows = min(rows, num_tokens)
    if logits_CV is None:
        size = (chunk_rows(rows, head.weight_VD.shape[0], hidden_ND.element_size()), head.weight_VD.shape[0])
        logits_CV = torch.empty(size, dtype=hidden_ND.dtype, device=hidden_ND.device)
    if gradients.hidden_ND is not None and supervised.sources is not None:
        gradients.hidden_ND.zero_()
    log_probabilities = torch.empty(rows, dtype=torch.float32, device=hidden_ND.device)
    correct = torch.empty(rows, dtype=torch.bool, device=hidden_ND.device)
    for start in range(0, rows, len(logits_CV)):
        chunk = slice(start, min(start + len(logits_CV), rows))
        losses = _chunk_loss(hidden_ND, head, supervised, chunk, gradients, logits_CV[: chunk.stop - start])
        log_probabilities[chunk], correct[chunk] = losses
    return HeadLoss(supervised.overflow - log_probabilities.sum(), correct.sum(), log_probabilities)


def chunk_rows(rows: int, vocabulary: int, itemsize: int, budget: int | None = None) -> int:
    """Rows of a chunk: as many as the budget (bytes, default CHUNK_BYTES) holds, evened out over the chunks, in
    multiples of 128 where there are that many, since matrix products work in such tiles."""
    most = max(1, (CHUNK_BYTES if budget is None else budget) // (itemsize * vocabulary))
    most = most // 128 * 128 or most
    num_chunks = max(1, -(-rows // most))
    even = -(-rows // num_chunks)
    return max(1, min(most, -(-even // 128) * 128))


def checks(device: torch.device) -> Iterator[Check]:
    """Gradients and loss against float64, beside the reference in the same dtype."""
    generator = torch.Generator(device).manual_seed(6)
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        hidden, weight = (
            torch.randn(shape, generator=generator, device=device).to(dtype) for shape in ((61, 64), (4003, 64))
        )
        labels = torch.randint(0, 4003, (61,), generator=generator, device=device)
        labels[::3] = IGNORED_LABEL
        exact = _gradients_of(linear_cross_entropy_reference, hidden.double(), weight.double() / 8, labels)
        usual = _gradients_of(linear_cross_entropy_reference, hidden, weight / 8, labels)
        ours = _gradients_of(linear_cross_entropy, hidden, weight / 8, labels)
        for name, got, wanted, plain in zip(("loss", "hidden", "weight"), ours, exact, usual, strict=True):
            yield check_against(f"linear cross entropy, {name}", got, wanted, plain)


def _gradients_of(function: Any, hidden: Tensor, weight: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
    hidden, weight = hidden.detach().requires_grad_(), weight.detach().requires_grad_()
    loss = function(hidden, weight, labels, HeadOptions()).loss
    return loss.detach(), *torch.autograd.grad(loss, (hidden, weight))


@dataclass(frozen=True, slots=True)
class _SupervisedRows:
    """Which rows take part: by index, or all of them where `sources` is None."""

    labels_R: Tensor
    sources: Tensor | None
    """[R] int64: row of each; the last row of all for those behind the last supervised one."""
    targets: Tensor | None
    """[R] int64: row to write to; N for those behind the last."""
    overflow: Tensor
    """Scalar float32: 0, or NaN where the bound was too low."""


def _all_rows(labels_N: Tensor) -> _SupervisedRows:
    return _SupervisedRows(labels_N, None, None, torch.zeros((), device=labels_N.device))


def _gather_rows(labels_N: Tensor, rows: int) -> _SupervisedRows:
    run = gather_rows_kernel if labels_N.is_cuda else gather_rows_reference
    return run(labels_N, rows)


def gather_rows_reference(labels_N: Tensor, rows: int) -> _SupervisedRows:
    kept = (labels_N != IGNORED_LABEL).nonzero().squeeze(1)
    overflow = torch.tensor(float("nan") if len(kept) > rows else 0.0, device=labels_N.device)
    targets = functional.pad(kept[:rows], (0, max(0, rows - len(kept))), value=len(labels_N))
    labels_R = functional.pad(labels_N, (0, 1), value=IGNORED_LABEL)[targets]
    return _SupervisedRows(labels_R, targets.clamp(max=len(labels_N) - 1), targets, overflow)


def gather_rows_kernel(labels_N: Tensor, rows: int) -> _SupervisedRows:
    """One program with a running count; the device is not waited for."""
    device = labels_N.device
    labels_R, sources, targets = (torch.empty(rows, dtype=torch.int64, device=device) for _ in range(3))
    overflow = torch.empty((), device=device)
    with on_device_of(labels_N):
        _gather[(1,)](
            labels_N, labels_R, sources, targets, overflow, len(labels_N), rows, labels_N.stride(0),
            BLOCK=4096, num_warps=8, enable_fp_fusion=False,
        )  # fmt: skip
    return _SupervisedRows(labels_R, sources, targets, overflow)


@triton.jit(do_not_specialize=["num_tokens", "rows"])
def _gather(labels, labels_R, sources, targets, overflow, num_tokens, rows, stride, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    count = 0
    for start in range(0, num_tokens, BLOCK):
        index = start + tl.arange(0, BLOCK)
        label = tl.load(labels + index.to(tl.int64) * stride, mask=index < num_tokens, other=_IGNORED)
        supervised = (label != _IGNORED).to(tl.int32)
        rank = count + tl.cumsum(supervised, axis=0) - 1
        fits = (supervised > 0) & (rank < rows)
        tl.store(labels_R + rank, label, mask=fits)
        tl.store(sources + rank, index.to(tl.int64), mask=fits)
        tl.store(targets + rank, index.to(tl.int64), mask=fits)
        count += tl.sum(supervised, axis=0)
    for start in range(0, rows, BLOCK):
        rank = start + tl.arange(0, BLOCK)
        empty = (rank >= count) & (rank < rows)
        tl.store(labels_R + rank, tl.full([BLOCK], _IGNORED, tl.int64), mask=empty)
        tl.store(sources + rank, tl.zeros([BLOCK], tl.int64) + (num_tokens - 1), mask=empty)
        tl.store(targets + rank, tl.zeros([BLOCK], tl.int64) + num_tokens, mask=empty)
    tl.store(overflow, tl.where(count > rows, float("nan"), 0.0))


def _chunk_loss(
    hidden_ND: Tensor, head: Head, rows: _SupervisedRows, chunk: slice, gradients: HeadGradients, logits_CV: Tensor
) -> tuple[Tensor, Tensor]:
    """Log-probabilities and hits of the chunk's rows; adds to or fills the gradients."""
    hidden_CD = hidden_ND[chunk] if rows.sources is None else hidden_ND.index_select(0, rows.sources[chunk])
    if head.bias_V is None:
        torch.mm(hidden_CD, head.weight_VD.T, out=logits_CV)
    else:
        torch.addmm(head.bias_V, hidden_CD, head.weight_VD.T, out=logits_CV)
    wants_gradient = any(g is not None for g in (gradients.hidden_ND, gradients.weight_VD, gradients.bias_V))
    losses = cross_entropy_rows(logits_CV, rows.labels_R[chunk], head.options, overwrite=wants_gradient)
    if gradients.hidden_ND is not None and rows.targets is None:
        torch.mm(logits_CV, head.weight_VD, out=gradients.hidden_ND[chunk])
    elif gradients.hidden_ND is not None and rows.targets is not None:
        gradients.hidden_ND.index_copy_(0, rows.targets[chunk], logits_CV @ head.weight_VD)
    if gradients.weight_VD is not None:
        add_product(gradients.weight_VD, logits_CV.T, hidden_CD)
    if gradients.bias_V is not None:
        gradients.bias_V.add_(logits_CV.sum(0, dtype=gradients.bias_V.dtype))
    return losses.log_probabilities, losses.correct


@dataclass(frozen=True, slots=True)
class _Call:
    """What `_LinearCrossEntropy` needs beside tensors."""

    options: HeadOptions
    rows: int
    wants_gradient: bool


class _LinearCrossEntropy(torch.autograd.Function):
    """Forward computes the gradients as well, scaled by 1; backward multiplies them by the incoming gradient."""

    @staticmethod
    def forward(
        ctx: Any, hidden_ND: Tensor, weight_VD: Tensor, bias_V: Tensor | None, labels_N: Tensor, call: _Call
    ) -> tuple[Tensor, Tensor, Tensor]:
        wanted = [call.wants_gradient and needed for needed in ctx.needs_input_grad[:3]]
        ctx.head_dtype = weight_VD.dtype
        compute_bias_V = None if bias_V is None else bias_V.to(hidden_ND.dtype)
        head = Head(weight_VD.to(hidden_ND.dtype), compute_bias_V, call.options)
        sum_dtype = torch.promote_types(hidden_ND.dtype, torch.float32)
        num_tokens, width = hidden_ND.shape
        gradients = HeadGradients(
            hidden_ND.new_empty(num_tokens + 1, width) if wanted[0] else None,
            torch.zeros_like(weight_VD, dtype=sum_dtype) if wanted[1] else None,
            torch.zeros_like(bias_V, dtype=sum_dtype) if wanted[2] and bias_V is not None else None,
        )
        result = head_loss(hidden_ND, head, labels_N, call.rows, gradients)
        grad_hidden_ND = None if gradients.hidden_ND is None else gradients.hidden_ND[:num_tokens]
        ctx.save_for_backward(grad_hidden_ND, gradients.weight_VD, gradients.bias_V)
        ctx.mark_non_differentiable(result.correct, result.log_probabilities_R)
        return result.loss, result.correct, result.log_probabilities_R

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        grad_hidden_ND, grad_weight_VD, grad_bias_V = (
            None if gradient is None else gradient * grad_outputs[0] for gradient in ctx.saved_tensors
        )
        if grad_hidden_ND is not None:
            grad_hidden_ND = grad_hidden_ND.to(ctx.saved_tensors[0].dtype)
        head_gradients = (None if g is None else g.to(ctx.head_dtype) for g in (grad_weight_VD, grad_bias_V))
        return grad_hidden_ND, *head_gradients, None, None
