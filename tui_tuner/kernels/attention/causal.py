"""Causal attention of packed or equal documents, forward and backward as plain functions over one of several kernels.

A decoder layer calls them inside its own backward: what forward returned is all that backward needs, so that attention
is never run twice. `path.choose` says which kernel; nothing here tries another when one fails.

Shapes: q [T, Hq, D], k, v [T, Hkv, D] with stride 1 in the last dimension; Hq is a multiple of Hkv.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from tui_tuner.kernels.attention import kernel as attention_kernel
from tui_tuner.kernels.attention import on_cpu
from tui_tuner.kernels.attention.kernel import Scores
from tui_tuner.kernels.attention.path import Choice, Machine, Path, Question, choose, is_windowed
from tui_tuner.kernels.checking import Check, check_against, leaf, timed
from tui_tuner.kernels.documents import Documents, batch_of, pack_of
from tui_tuner.kernels.launch import wide

aten = torch.ops.aten
FLOAT32_ERROR = 2e-6
"""Measured on an H200 for capped scores in float32: 1.2e-6, in gradients that are sums of thousands of products."""
CAUSAL_FROM_TOP_LEFT = 1
"""`custom_mask_type` of torch's memory-efficient attention."""


@dataclass(frozen=True, slots=True)
class Inputs:
    q: Tensor
    k: Tensor
    v: Tensor


@dataclass(frozen=True, slots=True)
class Attended:
    """What forward leaves; all of it is needed by backward."""

    output: Tensor
    """[T, Hq, D]."""
    state: tuple[Tensor, ...]
    """The logarithm of the sum of each softmax first, then what else the kernel asks for; shapes are the kernel's."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What of a layer's attention stays the same from call to call."""

    documents: Documents
    scores: Scores
    path: Path


def attention(inputs: Inputs, documents: Documents, scores: Scores) -> Tensor:
    """[T, Hq, D], with gradients, on the path that suits."""
    layout = Layout(documents, scores, path_for(inputs.q, documents, scores).path)
    output: Tensor = _Attention.apply(inputs.q, inputs.k, inputs.v, layout)
    return output


def path_for(q: Tensor, documents: Documents, scores: Scores) -> Choice:
    question = Question(
        dtype=q.dtype, head_dim=q.shape[-1], max_length=documents.max_length, packed=documents.rows is None,
        window=scores.window, softcap=scores.softcap,
    )  # fmt: skip
    return choose(question, machine_of(q.device))


@lru_cache
def machine_of(device: torch.device) -> Machine:
    if device.type != "cuda":
        return Machine(capability=None)
    return Machine(
        capability=torch.cuda.get_device_capability(device),
        has_flash=torch.backends.cuda.is_flash_attention_available(),
        has_cudnn=torch.backends.cudnn.is_available(),
    )


def forward(inputs: Inputs, layout: Layout) -> Attended:
    return FORWARD[layout.path](inputs, layout)


def backward(grad: Tensor, inputs: Inputs, attended: Attended, layout: Layout) -> Inputs:
    """Gradients of q, k and v, in new tensors. grad: [T, Hq, D]."""
    return BACKWARD[layout.path](grad, inputs, attended, layout)


def forward_reference(inputs: Inputs, layout: Layout) -> Attended:
    if not _is_pack_on_cpu(inputs, layout):
        return _forward_dense(inputs, layout)
    parts = [_forward_dense(*_alone(inputs, layout, span)) for span in on_cpu.spans(layout.documents)]
    sums = torch.cat([part.state[0] for part in parts], dim=-1)
    return Attended(torch.cat([part.output for part in parts]), (sums,))


def backward_reference(grad: Tensor, inputs: Inputs, attended: Attended, layout: Layout) -> Inputs:
    if not _is_pack_on_cpu(inputs, layout):
        return _backward_dense(grad, inputs, attended, layout)
    parts = []
    for span in on_cpu.spans(layout.documents):
        of_document = Attended(attended.output[span], (attended.state[0][..., span],))
        alone, one = _alone(inputs, layout, span)
        parts.append(_backward_dense(grad[span], alone, of_document, one))
    q, k, v = (torch.cat(tensors) for tensors in zip(*((part.q, part.k, part.v) for part in parts), strict=True))
    return Inputs(q, k, v)


def _is_pack_on_cpu(inputs: Inputs, layout: Layout) -> bool:
    """Where documents are taken one after the other: their boundaries can be read without waiting for a device."""
    return layout.documents.rows is None and inputs.q.device.type == "cpu"


def _alone(inputs: Inputs, layout: Layout, span: slice) -> tuple[Inputs, Layout]:
    """One document of a pack as a batch of one row."""
    documents = batch_of(1, span.stop - span.start, inputs.q.device)
    alone = Inputs(inputs.q[span], inputs.k[span], inputs.v[span])
    return alone, Layout(documents, layout.scores, layout.path)


def _forward_dense(inputs: Inputs, layout: Layout) -> Attended:
    raw, visible = _reference_scores(inputs, layout)
    masked = raw.masked_fill(~visible, float("-inf"))
    lse = masked.logsumexp(-1)
    weights = torch.exp(masked - lse.unsqueeze(-1))
    output = _heads_last(weights @ _grouped(wide(inputs.v), inputs.q, layout))
    return Attended(output.to(inputs.q.dtype), (lse,))


def _backward_dense(grad: Tensor, inputs: Inputs, attended: Attended, layout: Layout) -> Inputs:
    raw, visible = _reference_scores(inputs, layout)
    weights = torch.exp(raw.masked_fill(~visible, float("-inf")) - attended.state[0].unsqueeze(-1))
    q, out, dout = (_batched(wide(x), layout) for x in (inputs.q, attended.output, grad))
    k, v = (_grouped(wide(x), inputs.q, layout) for x in (inputs.k, inputs.v))
    dscores = weights * (dout @ v.mT - (dout * out).sum(-1, keepdim=True)) * layout.scores.scale
    if layout.scores.softcap is not None:
        dscores = dscores * (1.0 - (raw / layout.scores.softcap).square())
    group = inputs.q.shape[1] // inputs.k.shape[1]
    dk, dv = (_heads_last(x).unflatten(1, (-1, group)).sum(2) for x in (dscores.mT @ q, weights.mT @ dout))
    dtype = inputs.q.dtype
    return Inputs(_heads_last(dscores @ k).to(dtype), dk.to(dtype), dv.to(dtype))


def _reference_scores(inputs: Inputs, layout: Layout) -> tuple[Tensor, Tensor]:
    """Scores [B, Hq, S, S], and which of them count."""
    scores, documents = layout.scores, layout.documents
    raw = _batched(wide(inputs.q), layout) @ _grouped(wide(inputs.k), inputs.q, layout).mT * scores.scale
    if scores.softcap is not None:
        raw = scores.softcap * torch.tanh(raw / scores.softcap)
    place = torch.arange(raw.shape[-1], device=raw.device)
    first = documents.first[: raw.shape[-1]]
    if scores.window is not None:
        first = torch.maximum(first, place - scores.window + 1)
    return raw, (place[None, :] <= place[:, None]) & (place[None, :] >= first[:, None])


def _batched(x: Tensor, layout: Layout) -> Tensor:
    """[T, H, D] -> [B, H, S, D], a view; a pack is one row."""
    return x.unflatten(0, (layout.documents.rows or 1, -1)).transpose(1, 2)


def _grouped(x: Tensor, q: Tensor, layout: Layout) -> Tensor:
    """k or v as [B, Hq, S, D]: each head as often as it is shared."""
    return _batched(_repeated(x, q), layout)


def _repeated(x: Tensor, q: Tensor) -> Tensor:
    """k or v as [T, Hq, D]."""
    return x if x.shape[1] == q.shape[1] else x.repeat_interleave(q.shape[1] // x.shape[1], 1)


def _heads_last(x: Tensor) -> Tensor:
    """[B, H, S, D] -> [T, H, D]; a view where the memory is already in that order."""
    return x.transpose(1, 2).flatten(0, 1)


def _forward_triton(inputs: Inputs, layout: Layout) -> Attended:
    output, lse = attention_kernel.forward((inputs.q, inputs.k, inputs.v), layout.documents, layout.scores)
    return Attended(output, (lse,))


def _backward_triton(grad: Tensor, inputs: Inputs, attended: Attended, layout: Layout) -> Inputs:
    saved = (attended.output, attended.state[0])
    qkv = (inputs.q, inputs.k, inputs.v)
    return Inputs(*attention_kernel.backward(grad, qkv, saved, layout.documents, layout.scores))


def _forward_on_cpu(inputs: Inputs, layout: Layout) -> Attended:
    output, sums = on_cpu.forward((inputs.q, inputs.k, inputs.v), layout.documents, layout.scores)
    return Attended(output, (sums,))


def _backward_on_cpu(grad: Tensor, inputs: Inputs, attended: Attended, layout: Layout) -> Inputs:
    saved = (attended.output, attended.state[0])
    return Inputs(*on_cpu.backward(grad, (inputs.q, inputs.k, inputs.v), saved, layout.documents, layout.scores))


def _forward_cudnn(inputs: Inputs, layout: Layout) -> Attended:
    q, k, v = (_batched(x, layout) for x in (inputs.q, inputs.k, inputs.v))
    out, lse, _, _, _, _, seed, offset, _ = aten._scaled_dot_product_cudnn_attention(
        q, k, v, None, True, 0.0, True, False, scale=layout.scores.scale
    )
    return Attended(_heads_last(out), (lse, seed, offset))


def _backward_cudnn(grad: Tensor, inputs: Inputs, attended: Attended, layout: Layout) -> Inputs:
    length = layout.documents.max_length
    lse, seed, offset = attended.state
    dout, q, k, v, out = (_batched(x, layout) for x in (grad, inputs.q, inputs.k, inputs.v, attended.output))
    gradients = aten._scaled_dot_product_cudnn_attention_backward(
        dout, q, k, v, out, lse, seed, offset, None, None, None, length, length, 0.0, True, scale=layout.scores.scale
    )
    return Inputs(*(_heads_last(x) for x in gradients))


def _forward_flash(inputs: Inputs, layout: Layout) -> Attended:
    boundaries, length = _boundaries(layout), layout.documents.max_length
    out, lse, seed, offset, _ = aten._flash_attention_forward(
        *(_for_flash(x, layout) for x in (inputs.q, inputs.k, inputs.v)), boundaries, boundaries, length, length,
        0.0, True, False, scale=layout.scores.scale, **_flash_window(layout),
    )  # fmt: skip
    return Attended(out.view(inputs.q.shape), (lse, seed, offset))


def _backward_flash(grad: Tensor, inputs: Inputs, attended: Attended, layout: Layout) -> Inputs:
    boundaries, length = _boundaries(layout), layout.documents.max_length
    lse, seed, offset = attended.state
    tensors = (_for_flash(x, layout) for x in (grad, inputs.q, inputs.k, inputs.v, attended.output))
    gradients = aten._flash_attention_backward(
        *tensors, lse, boundaries, boundaries, length, length, 0.0, True, seed, offset,
        scale=layout.scores.scale, **_flash_window(layout),
    )  # fmt: skip
    return Inputs(*(x if layout.documents.rows is None else x.flatten(0, 1) for x in gradients))


def _boundaries(layout: Layout) -> Tensor | None:
    return layout.documents.boundaries if layout.documents.rows is None else None


def _for_flash(x: Tensor, layout: Layout) -> Tensor:
    """[T, H, D] of a pack, [B, S, H, D] of a batch."""
    return x if layout.documents.rows is None else x.unflatten(0, (layout.documents.rows, -1))


def _flash_window(layout: Layout) -> dict[str, int]:
    """Flash counts the tokens to the left of each, itself not included."""
    window = layout.scores.window
    if window is None or not is_windowed(window, layout.documents.max_length):
        return {}
    return {"window_size_left": window - 1, "window_size_right": 0}


def _forward_efficient(inputs: Inputs, layout: Layout) -> Attended:
    boundaries, length = _boundaries(layout), layout.documents.max_length
    q, k, v = _for_efficient(inputs, layout)
    out, lse, seed, offset, _, _ = aten._efficient_attention_forward(
        q, k, v, None, boundaries, boundaries, length, length, 0.0, CAUSAL_FROM_TOP_LEFT, True,
        scale=layout.scores.scale, window_size=layout.scores.window,
    )  # fmt: skip
    return Attended(out.view(inputs.q.shape), (lse, seed, offset))


def _backward_efficient(grad: Tensor, inputs: Inputs, attended: Attended, layout: Layout) -> Inputs:
    boundaries, length = _boundaries(layout), layout.documents.max_length
    lse, seed, offset = attended.state
    q, k, v = _for_efficient(inputs, layout)
    shape = (layout.documents.rows or 1, -1)
    dq, dk, dv, _ = aten._efficient_attention_backward(
        grad.unflatten(0, shape), q, k, v, None, attended.output.unflatten(0, shape), boundaries, boundaries,
        length, length, lse, 0.0, seed, offset, CAUSAL_FROM_TOP_LEFT, False,
        scale=layout.scores.scale, window_size=layout.scores.window,
    )  # fmt: skip
    group = inputs.q.shape[1] // inputs.k.shape[1]
    dk, dv = (x.flatten(0, 1).unflatten(1, (-1, group)).sum(2) for x in (dk, dv))
    return Inputs(dq.flatten(0, 1), dk, dv)


def _for_efficient(inputs: Inputs, layout: Layout) -> tuple[Tensor, Tensor, Tensor]:
    """[B, S, Hq, D]: this kernel knows no shared heads."""
    shape = (layout.documents.rows or 1, -1)
    k, v = (_repeated(x, inputs.q).unflatten(0, shape) for x in (inputs.k, inputs.v))
    return inputs.q.unflatten(0, shape), k, v


FORWARD: dict[Path, Callable[[Inputs, Layout], Attended]] = {
    "reference": forward_reference,
    "cpu": _forward_on_cpu,
    "triton": _forward_triton,
    "cudnn": _forward_cudnn,
    "flash": _forward_flash,
    "efficient": _forward_efficient,
}
BACKWARD: dict[Path, Callable[[Tensor, Inputs, Attended, Layout], Inputs]] = {
    "reference": backward_reference,
    "cpu": _backward_on_cpu,
    "triton": _backward_triton,
    "cudnn": _backward_cudnn,
    "flash": _backward_flash,
    "efficient": _backward_efficient,
}


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, layout: Layout) -> Tensor:
        attended = forward(Inputs(q, k, v), layout)
        ctx.save_for_backward(q, k, v, attended.output, *attended.state)
        ctx.layout = layout
        return attended.output

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        q, k, v, output, *state = ctx.saved_tensors
        result = backward(grads[0].contiguous(), Inputs(q, k, v), Attended(output, tuple(state)), ctx.layout)
        return result.q, result.k, result.v, None


def checks(device: torch.device) -> Iterator[Check]:
    """The path that is chosen for each kind of layer, beside plain torch in the same dtype."""
    plain, pack = batch_of(2, 512, device), pack_of((300, 7, 1, 400, 250), 1024, device)
    kinds = (
        ("", plain, Scores(128**-0.5), 128),
        (", packed", pack, Scores(128**-0.5), 128),
        (", packed, window", pack, Scores(128**-0.5, window=100), 128),
        (", packed, window, softcap", pack, Scores(256**-0.5, 100, 50.0), 256),
    )
    for name, documents, scores, width in kinds:
        for dtype in (torch.float32, torch.float16, torch.bfloat16):
            yield from _check(name, documents, scores, width, dtype)


def _check(name: str, documents: Documents, scores: Scores, width: int, dtype: torch.dtype) -> Iterator[Check]:
    device = documents.first.device
    generator = torch.Generator(device).manual_seed(1)
    fused, grad = (
        torch.randn(documents.tokens, heads, width, generator=generator, device=device).to(dtype) for heads in (12, 8)
    )
    inputs = Inputs(fused[:, :8], fused[:, 8:10], fused[:, 10:])
    layout = Layout(documents, scores, path_for(inputs.q, documents, scores).path)
    attended = forward(inputs, layout)
    gradients = backward(grad, inputs, attended, layout)
    got = (attended.output, gradients.q, gradients.k, gradients.v)
    exact, usual = (eager(inputs, grad, documents, scores, dtype) for dtype in (torch.float64, dtype))
    name = f"attention by {layout.path}{name}"
    for part, ours, in_double, theirs in zip(("", ", dq", ", dk", ", dv"), got, exact, usual, strict=True):
        check = check_against(name + part, ours, in_double, theirs, FLOAT32_ERROR)
        yield check if part else timed(check, lambda: forward(inputs, layout), fused.nbytes + grad.nbytes)


def eager(
    inputs: Inputs, grad: Tensor, documents: Documents, scores: Scores, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Output and gradients by autograd, as models' own eager code computes them in `dtype`."""
    layout = Layout(documents, scores, "reference")
    q, k, v = (leaf(x, dtype) for x in (inputs.q, inputs.k, inputs.v))
    raw = _batched(q, layout) @ _grouped(k, q, layout).mT * scores.scale
    if scores.softcap is not None:
        raw = torch.tanh(raw / scores.softcap) * scores.softcap
    visible = _reference_scores(inputs, layout)[1]
    weights = wide(raw.masked_fill(~visible, float("-inf"))).softmax(-1).to(dtype)
    output = _heads_last(weights @ _grouped(v, q, layout))
    dq, dk, dv = torch.autograd.grad(output, (q, k, v), grad.to(dtype))
    return output.detach(), dq, dk, dv
