"""Gradients of LoRA's matrices, added in float32 to a flat buffer: dA += dt^T x and dB += scaling dy^T t, t = x A^T.

Both are products over the tokens of something wide with something of few columns. cuBLAS was faster at every shape than
a kernel of our own, which split the tokens among programs (docs/performance.md); not so where what is wide is just
being made (gated_sums.py).
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from tui_tuner.kernels.checking import Check, check_against, timed
from tui_tuner.kernels.lora.layout import Extended, GradientPlaces, LoraLayout, Projection, gradient_places
from tui_tuner.kernels.wide_product import add_product, wide_product


def add_adapter_gradients(dy: Extended, x: Extended, places: GradientPlaces) -> None:
    """Rows of all four tensors may be spaced."""
    add_b_gradients(dy.wide, x.ranks, places)
    add_a_gradients(dy.ranks, x.wide, places)


def add_b_gradients(dy: Tensor, ranks: Tensor, places: GradientPlaces) -> None:
    """dB += scaling dy^T t, one product for each. ranks: t [T, at least the sum of the ranks]."""
    for adapter in places.adapters:
        add_product(adapter.b, dy[:, adapter.rows].T, ranks[:, adapter.ranks], adapter.scaling)


def add_a_gradients(ranks: Tensor, x: Tensor, places: GradientPlaces) -> None:
    """dA += dt^T x, one product for all, which share x. ranks: dt, likewise."""
    adapters = places.adapters
    if len(adapters) == 1:
        add_product(adapters[0].a, ranks[:, adapters[0].ranks].T, x)
    elif adapters:
        grad_a = wide_product(ranks[:, : adapters[-1].ranks.stop].T, x, places.flat.dtype)
        torch._foreach_add_([adapter.a for adapter in adapters], [grad_a[adapter.ranks] for adapter in adapters])


def add_adapter_gradients_reference(dy: Extended, x: Extended, places: GradientPlaces) -> None:
    """Each product for itself, in the dtype of the flat buffer."""
    kind = places.flat.dtype
    for adapter in places.adapters:
        adapter.a.add_(dy.ranks[:, adapter.ranks].to(kind).T @ x.wide.to(kind))
        adapter.b.add_(adapter.scaling * (dy.wide[:, adapter.rows].to(kind).T @ x.ranks[:, adapter.ranks].to(kind)))


def checks(device: torch.device) -> Iterator[Check]:
    """Against float64, beside torch's products in the same dtype added in float32."""
    layout = LoraLayout(512, (Projection(384, 16, 2.0), Projection(128, 8, 0.5)))
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        generator = torch.Generator(device).manual_seed(10)
        buffers = [
            torch.randn(700, features + layout.padded_rank, generator=generator, device=device).to(dtype)
            for features in (layout.out_features, layout.in_features)
        ]
        ours, exact, usual = (_flat_gradient(kind, device, layout) for kind in (torch.float32, torch.float64, dtype))
        dy, x = _extended(buffers, layout, dtype)
        add_adapter_gradients(dy, x, ours)
        add_adapter_gradients_reference(*_extended(buffers, layout, torch.float64), exact)
        add_adapter_gradients_reference(dy, x, usual)
        check = check_against("adapter gradients", ours.flat.to(dtype), exact.flat, usual.flat)
        call = lambda dy=dy, x=x, ours=ours: add_adapter_gradients(dy, x, ours)  # noqa: E731
        yield timed(check, call, sum(buffer.nbytes for buffer in buffers))


def _extended(buffers: list[Tensor], layout: LoraLayout, dtype: torch.dtype) -> tuple[Extended, Extended]:
    dy, x = (buffer.to(dtype) for buffer in buffers)
    return Extended.of(dy, layout.out_features), Extended.of(x, layout.in_features)


def _flat_gradient(dtype: torch.dtype, device: torch.device, layout: LoraLayout) -> GradientPlaces:
    starts, end = [], 0
    for projection in layout.projections:
        a_end = end + projection.rank * layout.in_features
        starts.append((end, a_end))
        end = a_end + projection.rank * projection.out_features
    return gradient_places(layout, torch.zeros(end, dtype=dtype, device=device), tuple(starts))
