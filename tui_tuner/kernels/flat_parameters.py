"""Trained parameters in one float32 buffer, their gradients beside them, and 16-bit copies where products read them.

Each parameter begins at a multiple of BLOCK, so that a program that works on one block works on one parameter. The
copies may lie anywhere and be strided (a corner of a larger weight buffer); they are kept alive and written, not read.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

from tui_tuner.kernels.launch import on_device_of, rounded

BLOCK = 2048


@dataclass(frozen=True, slots=True)
class FlatParameter:
    """One matrix (a vector is a matrix of one row) and what the optimizer must know of it."""

    shape: tuple[int, int]
    group: int = 0
    """Row of the optimizer's table of learning rates and weight decays."""
    copy: Tensor | None = None
    """[rows, columns], any strides: written with copy_scale * value after each update."""
    copy_scale: float = 1.0


@dataclass(frozen=True, slots=True)
class FlatParameters:
    """The buffers, all [size] float32, and the tables that kernels read."""

    parameters: tuple[FlatParameter, ...]
    starts: tuple[int, ...]
    values: Tensor
    gradients: Tensor
    segments: Tensor
    """int64 [parameters, 7]: start, size, columns, group, address of the copy or 0, its two strides in elements."""
    copy_scales: Tensor
    """float32 [parameters]."""
    segment_of_block: Tensor
    """int32 [size / BLOCK]."""

    def value(self, index: int) -> Tensor:
        """View [rows, columns] of one parameter."""
        return self._view(self.values, index)

    def gradient(self, index: int) -> Tensor:
        """View [rows, columns] of one parameter's gradient."""
        return self._view(self.gradients, index)

    def _view(self, buffer: Tensor, index: int) -> Tensor:
        rows, columns = self.parameters[index].shape
        return buffer[self.starts[index] : self.starts[index] + rows * columns].view(rows, columns)

    @property
    def copy_dtype(self) -> torch.dtype | None:
        """Of all copies; None where there is none."""
        return next((p.copy.dtype for p in self.parameters if p.copy is not None), None)


def flat_parameters(parameters: Sequence[FlatParameter], device: torch.device) -> FlatParameters:
    """Buffers of zeros for these parameters.

    Raises:
        ValueError: a copy has another shape or device than its parameter, or copies have several dtypes.
    """
    starts, rows, segment_of_block, end = [], [], [], 0
    for index, parameter in enumerate(parameters):
        _check_copy(parameter, device)
        size = parameter.shape[0] * parameter.shape[1]
        copy = parameter.copy
        place = (0, 0, 0) if copy is None else (copy.data_ptr(), copy.stride(0), copy.stride(1))
        starts.append(end)
        rows.append((end, size, parameter.shape[1], parameter.group, *place))
        segment_of_block += [index] * -(-size // BLOCK)
        end += -(-size // BLOCK) * BLOCK
    if len({p.copy.dtype for p in parameters if p.copy is not None}) > 1:
        raise ValueError("the copies of the parameters must all have one dtype")
    return FlatParameters(
        tuple(parameters),
        tuple(starts),
        torch.zeros(end, device=device),
        torch.zeros(end, device=device),
        torch.tensor(rows, dtype=torch.int64).to(device),
        torch.tensor([p.copy_scale for p in parameters], dtype=torch.float32).to(device),
        torch.tensor(segment_of_block, dtype=torch.int32).to(device),
    )


def _check_copy(parameter: FlatParameter, device: torch.device) -> None:
    copy = parameter.copy
    if copy is not None and (tuple(copy.shape) != parameter.shape or copy.device.type != device.type):
        raise ValueError(
            f"a copy {tuple(copy.shape)} on {copy.device} does not fit a parameter {parameter.shape} on {device}"
        )


def refresh_copies(flat: FlatParameters) -> None:
    """Writes all copies from the values, as after loading; updates do it by themselves."""
    run = refresh_copies_kernel if flat.values.is_cuda else refresh_copies_reference
    run(flat)


def refresh_copies_reference(flat: FlatParameters) -> None:
    for index, parameter in enumerate(flat.parameters):
        if parameter.copy is not None:
            parameter.copy.copy_(flat.value(index) * parameter.copy_scale)


def refresh_copies_kernel(flat: FlatParameters) -> None:
    if flat.copy_dtype is None:
        return
    with on_device_of(flat.values):
        _refresh[(len(flat.segment_of_block),)](
            flat.values, flat.segments, flat.copy_scales, flat.segment_of_block,
            COPY_DTYPE=kernel_dtype(flat.copy_dtype), BLOCK=BLOCK, num_warps=4, enable_fp_fusion=False,
        )  # fmt: skip


def kernel_dtype(dtype: torch.dtype) -> tl.dtype:
    """Triton's name of it."""
    return {torch.bfloat16: tl.bfloat16, torch.float16: tl.float16, torch.float32: tl.float32}[dtype]


@triton.jit
def write_copy(values, block, segments, copy_scales, segment, COPY_DTYPE: tl.constexpr, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    """The values of one block, scaled and rounded, to where the parameter's copy has them."""
    segments += segment * 7
    address = tl.load(segments + 4)
    if address != 0:
        first = block.to(tl.int64) * BLOCK - tl.load(segments)
        columns = tl.load(segments + 2)
        first_row = first // columns
        # From the start of that row on, so that divisions of whole tensors need 32 bits only.
        local = (first - first_row * columns).to(tl.int32) + tl.arange(0, BLOCK)
        row = local // columns.to(tl.int32)
        column = local - row * columns.to(tl.int32)
        place = (first_row + row) * tl.load(segments + 5) + column * tl.load(segments + 6)
        inside = first + tl.arange(0, BLOCK) < tl.load(segments + 1)
        copy = address.to(tl.pointer_type(COPY_DTYPE))
        tl.store(copy + place, rounded(values * tl.load(copy_scales + segment), COPY_DTYPE), mask=inside)


@triton.jit
def _refresh(values, segments, copy_scales, segment_of_block, COPY_DTYPE: tl.constexpr, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    block = tl.program_id(0)
    segment = tl.load(segment_of_block + block)
    x = tl.load(values + block.to(tl.int64) * BLOCK + tl.arange(0, BLOCK))
    write_copy(x, block, segments, copy_scales, segment, COPY_DTYPE, BLOCK)
