"""Attention on a processor, by torch's kernel for it, one document after the other: the scores of a whole pack grow
with the square of its tokens, and nearly all of them are masked.

Capped scores, which that kernel does not have, are left to the reference, one document after the other as well.
"""

from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor

from tui_tuner.kernels.attention.kernel import Scores
from tui_tuner.kernels.attention.path import is_windowed
from tui_tuner.kernels.documents import Documents

aten = torch.ops.aten
QKV = tuple[Tensor, Tensor, Tensor]


def spans(documents: Documents) -> Iterator[slice]:
    """Where each document of a pack lies; empty ones are left out. Reads the boundaries, which lie on the host."""
    bounds = documents.boundaries.tolist()
    yield from (slice(begin, end) for begin, end in pairwise(bounds) if begin < end)


def forward(qkv: QKV, documents: Documents, scores: Scores) -> tuple[Tensor, Tensor]:
    """Output [T, Hq, D], and the logarithms of the sums of each softmax."""
    if documents.rows is not None:
        return _forward(qkv, documents.rows, scores)
    outputs, sums = zip(*(_forward(_of(qkv, span), 1, scores) for span in spans(documents)), strict=True)
    return torch.cat(outputs), torch.cat(sums, dim=-1)


def backward(
    grad: Tensor, qkv: QKV, saved: tuple[Tensor, Tensor], documents: Documents, scores: Scores
) -> QKV:  # fmt: skip
    """Gradients of q, k and v. saved: what forward returned."""
    if documents.rows is not None:
        return _backward(grad, qkv, saved, documents.rows, scores)
    output, sums = saved
    gradients = tuple(torch.empty(x.shape, dtype=x.dtype) for x in qkv)
    for span in spans(documents):
        of_document = (output[span], sums[..., span])
        for whole, part in zip(gradients, _backward(grad[span], _of(qkv, span), of_document, 1, scores), strict=True):
            whole[span] = part
    return gradients[0], gradients[1], gradients[2]


def _of(qkv: QKV, span: slice) -> QKV:
    q, k, v = qkv
    return q[span], k[span], v[span]


def _forward(qkv: QKV, rows: int, scores: Scores) -> tuple[Tensor, Tensor]:
    q, k, v = _heads_first(qkv, rows)
    mask = _mask(q, scores)
    output, sums = aten._scaled_dot_product_flash_attention_for_cpu(
        q, k, v, 0.0, mask is None, attn_mask=mask, scale=scores.scale
    )
    return _heads_last(output), sums


def _backward(grad: Tensor, qkv: QKV, saved: tuple[Tensor, Tensor], rows: int, scores: Scores) -> QKV:
    q, k, v = _heads_first(qkv, rows)
    mask = _mask(q, scores)
    dout, output = (x.unflatten(0, (rows, -1)).transpose(1, 2) for x in (grad, saved[0]))
    dq, dk, dv = aten._scaled_dot_product_flash_attention_for_cpu_backward(
        dout, q, k, v, output, saved[1], 0.0, mask is None, attn_mask=mask, scale=scores.scale
    )
    group = qkv[0].shape[1] // qkv[1].shape[1]
    dk, dv = (_heads_last(x).unflatten(1, (-1, group)).sum(2) for x in (dk, dv))
    return _heads_last(dq), dk, dv


def _heads_first(qkv: QKV, rows: int) -> QKV:
    """[B, Hq, S, D] each: this kernel knows no shared heads."""
    q, k, v = (x.repeat_interleave(qkv[0].shape[1] // x.shape[1], 1) for x in qkv)
    q, k, v = (x.unflatten(0, (rows, -1)).transpose(1, 2) for x in (q, k, v))
    return q, k, v


def _mask(q: Tensor, scores: Scores) -> Tensor | None:
    """[S, S], added to the scores; None where each token sees all before it."""
    length = q.shape[-2]
    if scores.window is None or not is_windowed(scores.window, length):
        return None
    place = torch.arange(length)
    is_seen = (place[None, :] <= place[:, None]) & (place[None, :] > place[:, None] - scores.window)
    return torch.zeros(length, length, dtype=q.dtype).masked_fill_(~is_seen, float("-inf"))


def _heads_last(x: Tensor) -> Tensor:
    """[B, H, S, D] -> [T, H, D]."""
    return x.transpose(1, 2).flatten(0, 1)
