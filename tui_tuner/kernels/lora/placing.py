"""Puts the adapters of a quantised layer beside its weight, once that was dequantised into a scratch, in one launch."""

from collections.abc import Iterator

import torch
import triton
import triton.language as tl

from tui_tuner.kernels.checking import Check, dtype_name, timed
from tui_tuner.kernels.launch import on_device_of, uses_kernel
from tui_tuner.kernels.lora.layout import Adapters, LoraLayout, LoraWeight, Projection, empty_adapters, empty_weight

COLUMNS = 1024
"""Of a row of A that one program copies."""
ROWS = 32
"""Rows of B that one program copies."""


def put_adapters(adapters: Adapters, scratch: LoraWeight) -> None:
    """Into the scratch; its base part is filled by dequantising into `scratch.base[layout.rows(i)]`."""
    (put_kernel if uses_kernel(scratch.full) else put_reference)(adapters, scratch)


def put_reference(adapters: Adapters, scratch: LoraWeight) -> None:
    scratch.a.copy_(adapters.a)
    scratch.b.copy_(adapters.b)


def put_kernel(adapters: Adapters, scratch: LoraWeight) -> None:
    layout = scratch.layout
    ranks, inputs, outputs = layout.padded_rank, layout.in_features, layout.out_features
    if ranks == 0:
        return
    programs = ranks * triton.cdiv(inputs, COLUMNS) + triton.cdiv(outputs, ROWS)
    with on_device_of(scratch.full):
        _put[(programs,)](
            adapters.a, adapters.b, scratch.full, scratch.full.stride(0), inputs, outputs, ranks,
            COLUMNS=COLUMNS, ROWS=ROWS, RANKS=triton.next_power_of_2(ranks),
        )  # fmt: skip


@triton.jit
def _put(  # type: ignore[no-untyped-def]
    a, b, full, full_row, inputs, outputs, ranks, COLUMNS: tl.constexpr, ROWS: tl.constexpr, RANKS: tl.constexpr
):
    """The first programs copy A, [R, in] below the weight, the others B, [out, R] beside it."""
    program = tl.program_id(0)
    in_row = tl.cdiv(inputs, COLUMNS)
    if program < ranks * in_row:
        row = program // in_row
        column = (program - row * in_row) * COLUMNS + tl.arange(0, COLUMNS)
        value = tl.load(a + row * inputs + column, column < inputs)
        tl.store(full + (outputs + row).to(tl.int64) * full_row + column, value, column < inputs)
    else:
        rows = ((program - ranks * in_row) * ROWS + tl.arange(0, ROWS)).to(tl.int64)[:, None]
        rank = tl.arange(0, RANKS)[None, :]
        inside = (rows < outputs) & (rank < ranks)
        tl.store(full + rows * full_row + inputs + rank, tl.load(b + rows * ranks + rank, inside), inside)


def checks(device: torch.device) -> Iterator[Check]:
    """Values that are not where they belong, of which there must be none."""
    layout = LoraLayout(1100, (Projection(300, 16), Projection(70, 80)))
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        ours, wanted = (empty_weight(layout, dtype, device) for _ in range(2))
        adapters = empty_adapters(layout, dtype, device)
        generator = torch.Generator(device).manual_seed(15)
        for tensor in (adapters.a, adapters.b):
            tensor.normal_(generator=generator)
        put_adapters(adapters, ours)
        put_reference(adapters, wanted)
        differing = float((ours.full != wanted.full).sum())
        check = Check("adapters beside a weight, values that differ", dtype_name(dtype), differing, 0.0)
        num_bytes = 2 * (adapters.a.nbytes + adapters.b.nbytes)
        yield timed(check, lambda adapters=adapters, ours=ours: put_adapters(adapters, ours), num_bytes)  # type: ignore[misc]
