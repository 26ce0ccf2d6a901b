"""AdamW on flat buffers, kernel and reference, beside torch.optim.AdamW."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tui_tuner.kernels.adamw import (
    AdamwOptions,
    AdamwState,
    adamw_state,
    adamw_step_kernel,
    adamw_step_reference,
)
from tui_tuner.kernels.checking import relative_error
from tui_tuner.kernels.flat_parameters import (
    FlatParameter,
    FlatParameters,
    flat_parameters,
    refresh_copies_kernel,
    refresh_copies_reference,
)

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
Step = Callable[[FlatParameters, AdamwState, AdamwOptions], None]
STEPS: list[Step] = [adamw_step_reference, adamw_step_kernel]
RATES, DECAYS = (3e-3, 1e-2), (0.1, 0.0)


def buffers() -> FlatParameters:
    """Two groups; one copy in a corner of a larger buffer, one transposed."""
    corner = torch.zeros(70, 60, dtype=torch.bfloat16, device=DEVICE)[3:53, 5:45]
    flipped = torch.zeros(9, 300, dtype=torch.bfloat16, device=DEVICE).T
    parameters = [
        FlatParameter((50, 40), 0, corner, 2.0),
        FlatParameter((300, 9), 1, flipped),
        FlatParameter((1, 17), 1),
    ]
    flat = flat_parameters(parameters, DEVICE)
    for index in range(3):
        flat.value(index).copy_(torch.randn(parameters[index].shape, generator=torch.Generator().manual_seed(index)))
    return flat


def state_of(flat: FlatParameters) -> AdamwState:
    state = adamw_state(flat, DECAYS)
    state.groups[:, 0] = torch.tensor(RATES)
    return state


def put_gradients(flat: FlatParameters, step: int, scale: float = 1.0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(100 + step)
    gradients = [scale * torch.randn(p.shape, generator=generator) for p in flat.parameters]
    for index, gradient in enumerate(gradients):
        flat.gradient(index).copy_(gradient)
    return gradients


def by_torch(flat: FlatParameters, steps: int, max_grad_norm: float | None) -> tuple[list[Tensor], list[float]]:
    """Values after that many steps of torch's optimizer in float32, and the norms."""
    values = [flat.value(index).cpu().clone().requires_grad_() for index in range(3)]
    groups = [{"params": [values[0]], "lr": RATES[0], "weight_decay": DECAYS[0]}]
    groups.append({"params": values[1:], "lr": RATES[1], "weight_decay": DECAYS[1]})
    optimizer, scratch, norms = torch.optim.AdamW(groups, foreach=False), buffers(), []
    for step in range(steps):
        for value, gradient in zip(values, put_gradients(scratch, step), strict=True):
            value.grad = gradient
        norms.append(float(torch.nn.utils.clip_grad_norm_(values, max_grad_norm or float("inf"))))
        optimizer.step()
    return [value.detach() for value in values], norms


@pytest.mark.parametrize("max_grad_norm", [1.0, None])
@pytest.mark.parametrize("step", STEPS)
def test_it_ends_where_torch_ends(step: Step, max_grad_norm: float | None) -> None:
    # A hundred steps, but in the interpreter, which takes a fifth of a second for each.
    steps = 100 if step is adamw_step_reference or DEVICE.type == "cuda" else 8
    flat = buffers()
    state, norms = state_of(flat), []
    wanted, wanted_norms = by_torch(flat, steps, max_grad_norm)
    for index in range(steps):
        put_gradients(flat, index)
        step(flat, state, AdamwOptions(max_grad_norm=max_grad_norm))
        norms.append(float(state.grad_norm))
    assert max(relative_error(flat.value(i).cpu(), wanted[i]) for i in range(3)) < 1e-6
    assert norms == pytest.approx(wanted_norms, rel=1e-5)


@pytest.mark.parametrize("step", STEPS)
def test_copies_hold_the_rounded_scaled_values(step: Step) -> None:
    flat = buffers()
    put_gradients(flat, 0)
    step(flat, state_of(flat), AdamwOptions())
    for index, scale in ((0, 2.0), (1, 1.0)):
        copy = flat.parameters[index].copy
        assert copy is not None
        assert copy.equal((flat.value(index) * scale).bfloat16())


@pytest.mark.parametrize("refresh", [refresh_copies_reference, refresh_copies_kernel])
def test_refreshing_writes_copies_and_nothing_beside_them(refresh: Callable[[FlatParameters], None]) -> None:
    flat = buffers()
    refresh(flat)
    copy = flat.parameters[0].copy
    assert copy is not None
    assert copy.equal((flat.value(0) * 2).bfloat16())
    whole = copy._base
    assert whole is not None
    assert int((whole != 0).sum()) <= 50 * 40


@pytest.mark.parametrize("step", STEPS)
def test_gradients_are_cleared(step: Step) -> None:
    flat = buffers()
    put_gradients(flat, 0)
    step(flat, state_of(flat), AdamwOptions())
    assert flat.gradients.abs().max() == 0.0


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_norm_that_is_not_finite_changes_no_parameter(step: Step, bad: float) -> None:
    flat = buffers()
    state, before = state_of(flat), flat.values.clone()
    put_gradients(flat, 0)
    flat.gradient(1)[3, 4] = bad
    step(flat, state, AdamwOptions())
    assert flat.values.equal(before)
    assert not torch.isfinite(state.grad_norm)
    assert state.clock.tolist() == [0.0, 1.0, 1.0]
    assert flat.gradients.abs().max() == 0.0


@pytest.mark.parametrize("step", STEPS)
def test_the_gradient_factor_turns_sums_into_means(step: Step) -> None:
    plain, summed = buffers(), buffers()
    put_gradients(plain, 0)
    put_gradients(summed, 0, scale=640.0)
    states = state_of(plain), state_of(summed)
    states[1].gradient_factor.fill_(1 / 640)
    for flat, state in zip((plain, summed), states, strict=True):
        step(flat, state, AdamwOptions())
    torch.testing.assert_close(states[1].grad_norm, states[0].grad_norm)
    torch.testing.assert_close(summed.values, plain.values)


def test_padding_between_parameters_stays_zero() -> None:
    flat = buffers()
    put_gradients(flat, 0)
    adamw_step_kernel(flat, state_of(flat), AdamwOptions())
    assert int((flat.values != 0).sum()) <= 50 * 40 + 300 * 9 + 17


def test_a_copy_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        flat_parameters([FlatParameter((3, 4), copy=torch.zeros(4, 3, device=DEVICE))], DEVICE)


def test_copies_of_two_dtypes_are_refused() -> None:
    copies = [torch.zeros(3, 4, dtype=dtype, device=DEVICE) for dtype in (torch.float16, torch.bfloat16)]
    with pytest.raises(ValueError, match="one dtype"):
        flat_parameters([FlatParameter((3, 4), copy=copy) for copy in copies], DEVICE)
