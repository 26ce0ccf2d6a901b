"""Cross entropy of logits that are there, with its gradient written over them: one launch, two reads and one write.

Rows labelled -100 cost nothing and get a gradient of zero. The gradient is that of the sum over the rows; whoever
wants a mean divides later (the optimizer does it, in float32), so that `softmax - onehot` is rounded only once.

Shapes: N rows, V vocabulary.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.nn import functional

from tui_tuner.kernels.checking import Check, check_against
from tui_tuner.kernels.launch import on_device_of, rounded, uses_kernel, wide
from tui_tuner.kernels.softcap import tanh

IGNORED_LABEL = -100
_IGNORED = tl.constexpr(IGNORED_LABEL)
_LOWEST = tl.constexpr(-3.0e38)
ROW_BLOCK = 16384
"""Columns that a program looks at together."""
ELEMENTS_PER_THREAD = 32
"""With fewer, two rows share a multiprocessor, and all rows on their way no longer fit into the cache (H100)."""


@dataclass(frozen=True, slots=True)
class HeadOptions:
    """What happens between the head's product and the loss."""

    logit_scale: float = 1.0
    """Logits are multiplied by this (Cohere), or by the inverse of Granite's `logits_scaling`; above zero."""
    softcap: float | None = None
    """Logits become softcap * tanh(logits / softcap) (Gemma 2)."""


@dataclass(frozen=True, slots=True)
class RowLosses:
    """What one pass over the logits says of each row."""

    log_probabilities: Tensor
    """[N] float32, of each row's label; 0 where the row is ignored, NaN where the label is not in the vocabulary."""
    correct: Tensor
    """[N] bool: the label is the first of the most likely tokens; False where the row is ignored."""


@dataclass(frozen=True, slots=True)
class LossSum:
    """Sums over the supervised rows; divide by the rows of whatever set the mean is wanted over."""

    loss: Tensor
    """Scalar float32: summed negative log-likelihood; carries the gradient."""
    correct: Tensor
    """Scalar int64: rows whose most likely token is the label."""
    log_probabilities: Tensor
    """[rows] float32, detached: log-probability of each label, in row order."""


def cross_entropy(logits_NV: Tensor, labels_N: Tensor, options: HeadOptions) -> LossSum:
    """Differentiable; leaves the logits as they are, at the price of one copy of them for the gradient."""
    loss, correct, log_probabilities = _CrossEntropy.apply(logits_NV, labels_N, options, torch.is_grad_enabled())
    return LossSum(loss, correct, log_probabilities)


def cross_entropy_rows(logits_NV: Tensor, labels_N: Tensor, options: HeadOptions, overwrite: bool) -> RowLosses:
    """Kernel or reference, by `uses_kernel`; `overwrite` leaves d(summed loss) / d(raw logits) in `logits_NV`."""
    run = cross_entropy_rows_kernel if uses_kernel(logits_NV) else cross_entropy_rows_reference
    return run(logits_NV, labels_N, options, overwrite)


def cross_entropy_rows_reference(
    logits_NV: Tensor, labels_N: Tensor, options: HeadOptions, overwrite: bool
) -> RowLosses:
    """The same in plain torch, in float32 (in float64 where the logits are)."""
    finished_NV = finish_logits(logits_NV, options)
    ignored_N = labels_N == IGNORED_LABEL
    columns_N1 = labels_N.masked_fill(ignored_N, 0).unsqueeze(1)
    log_probabilities_NV = torch.log_softmax(finished_NV, dim=-1)
    at_label_N = log_probabilities_NV.gather(1, columns_N1).squeeze(1).masked_fill(ignored_N, 0.0)
    correct_N = (finished_NV.argmax(-1) == labels_N) & ~ignored_N
    if overwrite:
        grad_NV = log_probabilities_NV.exp()
        grad_NV.scatter_(1, columns_N1, torch.expm1(at_label_N).unsqueeze(1).to(grad_NV.dtype))
        if options.softcap is not None:
            grad_NV *= 1.0 - (finished_NV / options.softcap) ** 2
        logits_NV.copy_((grad_NV * options.logit_scale).masked_fill(ignored_N.unsqueeze(1), 0.0))
    return RowLosses(at_label_N, correct_N)


def cross_entropy_rows_kernel(logits_NV: Tensor, labels_N: Tensor, options: HeadOptions, overwrite: bool) -> RowLosses:
    """One program per row; the second pass over a row finds it in the L2 cache."""
    rows, vocabulary = logits_NV.shape
    log_probabilities = torch.empty(rows, dtype=torch.float32, device=logits_NV.device)
    correct = torch.empty(rows, dtype=torch.bool, device=logits_NV.device)
    if rows == 0:
        return RowLosses(log_probabilities, correct)
    if logits_NV.stride(1) != 1:
        raise ValueError(f"each row of the logits must be contiguous; the strides are {logits_NV.stride()}")
    block, warps = _block_and_warps(vocabulary)
    with on_device_of(logits_NV):
        _row_kernel[(rows,)](
            logits_NV, labels_N, log_probabilities, correct, logits_NV.stride(0), labels_N.stride(0),
            VOCABULARY=vocabulary, SCALE=options.logit_scale, SOFTCAP=options.softcap or 0.0, OVERWRITE=overwrite,
            BLOCK=block, num_warps=warps, enable_fp_fusion=False,
        )  # fmt: skip
    return RowLosses(log_probabilities, correct)


def cross_entropy_of_logits(logits_NV: Tensor, labels_N: Tensor, options: HeadOptions) -> LossSum:
    """Summed cross entropy by torch's own operations and autograd; every row must be supervised."""
    logits_NV = finish_logits(logits_NV, options)
    log_probabilities = -functional.cross_entropy(logits_NV, labels_N, reduction="none")
    correct = (logits_NV.argmax(-1) == labels_N).sum()
    return LossSum(-log_probabilities.sum(), correct, log_probabilities.detach())


def finish_logits(logits_NV: Tensor, options: HeadOptions) -> Tensor:
    """Scale and softcap, in float32 (in float64 where the logits are)."""
    logits_NV = wide(logits_NV) * options.logit_scale
    return logits_NV if options.softcap is None else options.softcap * torch.tanh(logits_NV / options.softcap)


def checks(device: torch.device) -> Iterator[Check]:
    """Gradient and log-probabilities of the kernel against float64, beside plain torch in the same dtype."""
    cases = (HeadOptions(), HeadOptions(softcap=30.0), HeadOptions(logit_scale=0.0625))
    generator = torch.Generator(device).manual_seed(5)
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        for options in cases:
            logits = (4 * torch.randn(9, 32003, generator=generator, device=device)).to(dtype)
            labels = torch.randint(0, 32003, (9,), generator=generator, device=device)
            labels[::4] = IGNORED_LABEL
            ours, usual, exact = logits.clone(), logits.clone(), logits.double()
            got = cross_entropy_rows(ours, labels, options, overwrite=True)
            plain = cross_entropy_rows_reference(usual, labels, options, overwrite=True)
            wanted = cross_entropy_rows_reference(exact, labels, options, overwrite=True)
            name = f"cross entropy, softcap {options.softcap}, scale {options.logit_scale}"
            yield check_against(f"{name}, gradient", ours, exact, usual)
            yield check_against(
                f"{name}, loss", got.log_probabilities, wanted.log_probabilities, plain.log_probabilities
            )


class _CrossEntropy(torch.autograd.Function):
    """The gradient is made in forward, for a sum; backward multiplies it by the incoming gradient."""

    @staticmethod
    def forward(
        ctx: Any, logits_NV: Tensor, labels_N: Tensor, options: HeadOptions, wants_gradient: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        overwrite = wants_gradient and ctx.needs_input_grad[0]
        work_NV = logits_NV.clone(memory_format=torch.contiguous_format) if overwrite else logits_NV.contiguous()
        rows = cross_entropy_rows(work_NV, labels_N, options, overwrite)
        ctx.save_for_backward(work_NV if overwrite else None)
        correct = rows.correct.sum()
        ctx.mark_non_differentiable(correct, rows.log_probabilities)
        return -rows.log_probabilities.sum(), correct, rows.log_probabilities

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        (grad_NV,) = ctx.saved_tensors
        return (grad_NV * grad_outputs[0]).to(grad_NV.dtype), None, None, None


def _block_and_warps(vocabulary: int) -> tuple[int, int]:
    block = min(ROW_BLOCK, triton.next_power_of_2(vocabulary))
    return block, max(1, min(32, block // (32 * ELEMENTS_PER_THREAD)))


@triton.jit
def _finish(x, SCALE: tl.constexpr, SOFTCAP: tl.constexpr):  # type: ignore[no-untyped-def]
    x = x.to(tl.float32) * SCALE
    if SOFTCAP > 0.0:
        x = SOFTCAP * tanh(x / SOFTCAP)
    return x


@triton.jit
def _log_of_one_plus(x):  # type: ignore[no-untyped-def]
    """log(1 + x) for x >= 0: below 0.2 by the series of 2 atanh(x / (2 + x)), since 1 + x would drop digits of x."""
    z = x / (2.0 + x)
    square = z * z
    series = 2.0 * z * (1.0 + square * (0.33333334 + square * (0.2 + square * 0.14285715)))
    return tl.where(x < 0.2, series, tl.log(1.0 + x))


@triton.jit(do_not_specialize=["label_stride"])
def _row_kernel(  # type: ignore[no-untyped-def]
    logits,
    labels,
    log_probabilities,
    correct,
    row_stride,
    label_stride,
    VOCABULARY: tl.constexpr,
    SCALE: tl.constexpr,
    SOFTCAP: tl.constexpr,
    OVERWRITE: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """`others`, the sum of exp(x - top) over all tokens but the label, keeps what 1 - p(label) loses near p = 1."""
    row = tl.program_id(0).to(tl.int64)
    logits += row * row_stride
    label = tl.load(labels + row * label_stride)
    columns = tl.arange(0, BLOCK)
    if label == _IGNORED:
        tl.store(log_probabilities + row, 0.0)
        tl.store(correct + row, False)
        if OVERWRITE:
            nothing = tl.zeros([BLOCK], dtype=logits.dtype.element_ty)
            for start in range(0, VOCABULARY, BLOCK):
                tl.store(logits + start + columns, nothing, mask=start + columns < VOCABULARY)
        return
    in_vocabulary = (label >= 0) & (label < VOCABULARY)
    at_label = _finish(tl.load(logits + label, mask=in_vocabulary, other=float("nan")), SCALE, SOFTCAP)
    label = tl.where(in_vocabulary, label, 0)
    label_block = label // BLOCK * BLOCK

    top = tl.maximum(at_label, _LOWEST)
    sums = tl.zeros([BLOCK], dtype=tl.float32)
    beaten = 0
    for start in range(0, VOCABULARY, BLOCK):
        x = tl.load(logits + start + columns, mask=start + columns < VOCABULARY, other=float("-inf"))
        x = _finish(x, SCALE, SOFTCAP)
        # Where softcap would make a number of the padding's -inf.
        x = tl.where(start + columns < VOCABULARY, x, float("-inf"))
        block_top = tl.max(x, axis=0)
        higher = tl.maximum(top, block_top)
        exponentials = tl.where(start + columns == label, 0.0, tl.exp(x - higher))
        sums = sums * tl.exp(top - higher) + exponentials
        top = higher
        before = (start < label_block) & (block_top >= at_label)
        beaten += (before | (block_top > at_label)).to(tl.int32)
    in_front = label_block + columns < label
    x = _finish(tl.load(logits + label_block + columns, mask=in_front, other=0.0), SCALE, SOFTCAP)
    ties = in_front & (x >= at_label)
    beaten += tl.max(ties.to(tl.int32), axis=0)

    others = tl.sum(sums, axis=0)
    own = tl.exp(at_label - top)
    total = others + own
    loss = tl.where(at_label == top, _log_of_one_plus(others), (top - at_label) + tl.log(total))
    tl.store(log_probabilities + row, -loss)
    tl.store(correct + row, beaten == 0)
    if OVERWRITE:
        for start in range(0, VOCABULARY, BLOCK):
            valid = start + columns < VOCABULARY
            x = _finish(tl.load(logits + start + columns, mask=valid, other=0.0), SCALE, SOFTCAP)
            grad = tl.where(start + columns == label, -others, tl.exp(x - top)) / total * SCALE
            if SOFTCAP > 0.0:
                grad *= 1.0 - (x / SOFTCAP) * (x / SOFTCAP)
            tl.store(logits + start + columns, rounded(grad, logits.dtype.element_ty), mask=valid)
