"""AdamW over flat buffers in three launches: gradient norm, scalars of the step, update.

Nothing waits for the device: the norm, the clipping factor, the step count and the learning rates live there, so that
a CUDA graph can hold a whole step. A step whose norm is not finite changes nothing but the gradients, which it clears;
the norm says so to whoever reads it.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

from tui_tuner.kernels.checking import Check, relative_error, timed
from tui_tuner.kernels.flat_parameters import (
    BLOCK,
    FlatParameter,
    FlatParameters,
    flat_parameters,
    kernel_dtype,
    write_copy,
)
from tui_tuner.kernels.launch import on_device_of, persistent_programs


@dataclass(frozen=True, slots=True)
class AdamwOptions:
    """What stays the same during a run."""

    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    max_grad_norm: float | None = 1.0
    """None leaves gradients as they are."""


@dataclass(frozen=True, slots=True)
class AdamwState:
    """What an optimizer keeps between steps; all on the device."""

    first_moments: Tensor
    """float32 [size]."""
    second_moments: Tensor
    """float32 [size]."""
    clock: Tensor
    """float64 [3]: steps taken, beta1 and beta2 to that power."""
    groups: Tensor
    """float32 [groups, 2]: learning rate and weight decay; write the rates before each step."""
    gradient_factor: Tensor
    """float32 scalar that gradients are multiplied by first: 1 / tokens where they are those of a sum."""
    grad_norm: Tensor
    """float32 scalar: norm of all gradients times the factor, before clipping; of the last step."""
    partial_sums: Tensor
    """float32 work space, one place for each program of the first launch."""
    scalars: Tensor
    """float32 [4] work space: factor of the gradients with clipping, 1 / (1 - beta1^t), 1 / sqrt(1 - beta2^t), and
    whether the norm is finite."""


def adamw_state(flat: FlatParameters, weight_decays: Sequence[float]) -> AdamwState:
    """At step 0, with learning rates of 0; one group for each weight decay."""
    device = flat.values.device
    programs = min(persistent_programs(device), len(flat.segment_of_block))
    return AdamwState(
        first_moments=torch.zeros_like(flat.values),
        second_moments=torch.zeros_like(flat.values),
        clock=torch.tensor([0.0, 1.0, 1.0], dtype=torch.float64).to(device),
        groups=torch.tensor([[0.0, decay] for decay in weight_decays], dtype=torch.float32).to(device),
        gradient_factor=torch.ones((), device=device),
        grad_norm=torch.zeros((), device=device),
        partial_sums=torch.zeros(max(1, programs), device=device),
        scalars=torch.zeros(4, device=device),
    )


def adamw_step(flat: FlatParameters, state: AdamwState, options: AdamwOptions) -> None:
    """One update of all parameters and their copies; clears the gradients. Formulas of Loshchilov and Hutter 2019, in
    the order of operations of torch.optim.AdamW."""
    run = adamw_step_kernel if flat.values.is_cuda else adamw_step_reference
    run(flat, state, options)


def adamw_step_reference(flat: FlatParameters, state: AdamwState, options: AdamwOptions) -> None:
    norm = float(flat.gradients.norm() * state.gradient_factor)
    state.grad_norm.fill_(norm)
    if not math.isfinite(norm):
        flat.gradients.zero_()
        return
    most = options.max_grad_norm
    clipping = 1.0 if most is None else min(1.0, most / (norm + 1e-6))
    state.clock[0] += 1.0
    state.clock[1:] *= torch.tensor(options.betas, dtype=torch.float64)
    gradients = flat.gradients * state.gradient_factor * clipping
    for index, (parameter, start) in enumerate(zip(flat.parameters, flat.starts, strict=True)):
        part = slice(start, start + parameter.shape[0] * parameter.shape[1])
        _update_reference(flat.values[part], gradients[part], _Moments.of(state, part), state, parameter.group, options)
        if parameter.copy is not None:
            parameter.copy.copy_(flat.value(index) * parameter.copy_scale)
    flat.gradients.zero_()


@dataclass(frozen=True, slots=True)
class _Moments:
    first: Tensor
    second: Tensor

    @classmethod
    def of(cls, state: AdamwState, part: slice) -> "_Moments":
        return cls(state.first_moments[part], state.second_moments[part])


def _update_reference(
    values: Tensor, gradient: Tensor, moments: _Moments, state: AdamwState, group: int, options: AdamwOptions
) -> None:
    rate, decay = (float(number) for number in state.groups[group])
    _, power1, power2 = (float(number) for number in state.clock)
    values *= 1.0 - rate * decay
    moments.first.lerp_(gradient, 1.0 - options.betas[0])
    moments.second.mul_(options.betas[1]).addcmul_(gradient, gradient, value=1.0 - options.betas[1])
    denominator = (moments.second.sqrt() / math.sqrt(1.0 - power2)).add_(options.eps)
    values.addcdiv_(moments.first, denominator, value=-rate / (1.0 - power1))


def adamw_step_kernel(flat: FlatParameters, state: AdamwState, options: AdamwOptions) -> None:
    programs, num_blocks = len(state.partial_sums), len(flat.segment_of_block)
    copy_dtype = flat.copy_dtype
    with on_device_of(flat.values):
        _square_sums[(programs,)](
            flat.gradients, state.partial_sums, num_blocks, BLOCK=BLOCK, num_warps=4, enable_fp_fusion=False
        )  # fmt: skip
        _prepare[(1,)](
            state.partial_sums, state.gradient_factor, state.clock, state.scalars, state.grad_norm, programs,
            BETA1=options.betas[0], BETA2=options.betas[1], MAX_NORM=options.max_grad_norm or 0.0,
            PROGRAMS=triton.next_power_of_2(programs), num_warps=4, enable_fp_fusion=False,
        )  # fmt: skip
        _update[(num_blocks,)](
            flat.values, flat.gradients, state.first_moments, state.second_moments, state.scalars, state.groups,
            flat.segments, flat.copy_scales, flat.segment_of_block,
            BETA1=options.betas[0], BETA2=options.betas[1], EPS=options.eps,
            COPY_DTYPE=None if copy_dtype is None else kernel_dtype(copy_dtype),
            BLOCK=BLOCK, num_warps=4, enable_fp_fusion=False,
        )  # fmt: skip


def checks(device: torch.device) -> Iterator[Check]:
    """Ten steps beside torch.optim.AdamW in float64; the copy beside the rounded value."""
    generator = torch.Generator(device).manual_seed(8)
    copy = torch.zeros(100, 70, dtype=torch.bfloat16, device=device)[:, :33]
    flat = flat_parameters([FlatParameter((100, 33), copy=copy, copy_scale=2.0), FlatParameter((1, 5000))], device)
    flat.values.normal_(generator=generator)
    exact = [flat.value(index).double().requires_grad_() for index in range(2)]
    torch_optimizer = torch.optim.AdamW(exact, lr=1e-2, weight_decay=0.1)
    state, options = adamw_state(flat, [0.1]), AdamwOptions()
    state.groups[0, 0] = 1e-2
    for _ in range(10):
        for index, tensor in enumerate(exact):
            flat.gradient(index).normal_(generator=generator)
            tensor.grad = flat.gradient(index).double()
        torch.nn.utils.clip_grad_norm_(exact, 1.0)
        torch_optimizer.step()
        adamw_step(flat, state, options)
    error = max(relative_error(flat.value(index), tensor.detach()) for index, tensor in enumerate(exact))
    check = Check("adamw, ten steps", "float32", error, 1e-6)
    yield timed(check, lambda: adamw_step(flat, state, options), 32 * flat.values.numel())
    wanted = (2.0 * flat.value(0)).to(copy.dtype)
    yield Check("adamw, copies that differ", "bfloat16", float((copy != wanted).sum()), 0.0)


@triton.jit
def _square_sums(gradients, partial_sums, num_blocks, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    sums = tl.zeros([BLOCK], dtype=tl.float32)
    for block in range(tl.program_id(0), num_blocks, tl.num_programs(0)):
        x = tl.load(gradients + tl.cast(block, tl.int64) * BLOCK + tl.arange(0, BLOCK))
        sums += x * x
    tl.store(partial_sums + tl.program_id(0), tl.sum(sums, axis=0))


@triton.jit
def _prepare(  # type: ignore[no-untyped-def]
    partial_sums,
    gradient_factor,
    clock,
    scalars,
    grad_norm,
    programs,
    BETA1: tl.constexpr,
    BETA2: tl.constexpr,
    MAX_NORM: tl.constexpr,
    PROGRAMS: tl.constexpr,
):
    """The one program that turns partial sums into the step's scalars; powers of beta in float64, as they need it."""
    place = tl.arange(0, PROGRAMS)
    sums = tl.load(partial_sums + place, mask=place < programs, other=0.0)
    factor = tl.load(gradient_factor)
    norm = tl.sqrt(tl.sum(sums, axis=0)) * factor
    finite = norm < float("inf")
    clipped = factor
    if MAX_NORM > 0.0:
        clipped = factor * tl.minimum(1.0, MAX_NORM / (norm + 1e-6))
    steps, power1, power2 = tl.load(clock), tl.load(clock + 1), tl.load(clock + 2)
    power1, power2 = tl.where(finite, power1 * BETA1, power1), tl.where(finite, power2 * BETA2, power2)
    tl.store(clock, tl.where(finite, steps + 1.0, steps))
    tl.store(clock + 1, power1)
    tl.store(clock + 2, power2)
    tl.store(grad_norm, norm)
    tl.store(scalars, clipped)
    tl.store(scalars + 1, (1.0 / (1.0 - power1)).to(tl.float32))
    tl.store(scalars + 2, (1.0 / tl.sqrt(1.0 - power2)).to(tl.float32))
    tl.store(scalars + 3, finite.to(tl.float32))


@triton.jit
def _update(  # type: ignore[no-untyped-def]
    values,
    gradients,
    first_moments,
    second_moments,
    scalars,
    groups,
    segments,
    copy_scales,
    segment_of_block,
    BETA1: tl.constexpr,
    BETA2: tl.constexpr,
    EPS: tl.constexpr,
    COPY_DTYPE: tl.constexpr,
    BLOCK: tl.constexpr,
):
    block = tl.program_id(0)
    places = block.to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    gradient = tl.load(gradients + places) * tl.load(scalars)
    tl.store(gradients + places, tl.zeros([BLOCK], dtype=tl.float32))
    if tl.load(scalars + 3) > 0.0:
        segment = tl.load(segment_of_block + block)
        group = tl.load(segments + segment * 7 + 3)
        rate, decay = tl.load(groups + group * 2), tl.load(groups + group * 2 + 1)
        first, second, x = tl.load(first_moments + places), tl.load(second_moments + places), tl.load(values + places)
        first += (gradient - first) * (1.0 - BETA1)
        second = second * BETA2 + gradient * gradient * (1.0 - BETA2)
        x *= 1.0 - rate * decay
        denominator = tl.sqrt_rn(second) * tl.load(scalars + 2) + EPS
        x -= rate * tl.load(scalars + 1) * tl.div_rn(first, denominator)
        tl.store(first_moments + places, first)
        tl.store(second_moments + places, second)
        tl.store(values + places, x)
        if COPY_DTYPE is not None:
            write_copy(x, block, segments, copy_scales, segment, COPY_DTYPE, BLOCK)
