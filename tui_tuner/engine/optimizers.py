"""Parameter groups with their own learning rates, and the optimizer over them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from tui_tuner.engine.acceleration.flattening import FlatSet
from tui_tuner.engine.adapters import Group, TrainedSet
from tui_tuner.errors import AdapterError
from tui_tuner.events import TrainableGroup
from tui_tuner.kernels.adamw import AdamwOptions, adamw_state, adamw_step
from tui_tuner.kernels.flat_parameters import refresh_copies
from tui_tuner.plan import RunPlan

PAGED_KEYS = {"state1", "state2"}
"""bitsandbytes' names of the two moments."""
CLOCK = "clock/all"
"""Steps taken, and the powers of both betas, as our own AdamW keeps them."""
WITHOUT_DECAY: tuple[Group, ...] = ("norm", "magnitude")


@dataclass(frozen=True, slots=True)
class OptimizerState:
    """What an optimizer keeps between steps, by name of the trained tensor."""

    tensors: Mapping[str, Tensor]
    """By "kind/name", such as "exp_avg/model.layers.0.mlp.up_proj.lora_A"."""
    numbers: Mapping[str, Mapping[str, int | float]]


class Optimizer(Protocol):
    """Groups keep their peak rates; each step's rate is peak x schedule x what a person set."""

    groups: tuple[TrainableGroup, ...]

    def clip(self) -> float:
        """Scale the gradients down to the recipe's norm, now or in the step. Returns their norm before that."""

    def step(self, learning_rate_factor: float) -> None:
        """Move the weights at each group's peak rate times the factor, and drop the gradients."""

    def drop_gradients(self) -> None:
        """As if none had been added since the last step."""

    def state(self) -> OptimizerState:
        """Views; empty before the first step where nothing is kept yet."""

    def load(self, state: OptimizerState) -> None:
        """After the weights were filled. Raises AdapterError where the state is of other tensors."""


def trainable_groups(trained: TrainedSet, plan: RunPlan) -> tuple[TrainableGroup, ...]:
    """The groups that there are, with their peak rates, in the order in which optimizers number them."""
    return tuple(_groups(trained, plan))


def build_optimizer(trained: TrainedSet, plan: RunPlan, flat: FlatSet | None) -> Optimizer:
    """The recipe's; our own AdamW where everything that is trained lies in one buffer."""
    if flat is not None and plan.recipe.optimizer.name == "adamw":
        return FlatAdamw(trained, plan, flat)
    return GroupedOptimizer(trained, plan, flat)


class FlatAdamw:
    """AdamW over one buffer in three launches; clipping is part of the step."""

    def __init__(self, trained: TrainedSet, plan: RunPlan, flat: FlatSet) -> None:
        section = plan.recipe.optimizer
        self.groups = trainable_groups(trained, plan)
        self._flat, self._names = flat, tuple(one.name for one in trained.tensors)
        self._state = adamw_state(flat.flat, [group.weight_decay for group in self.groups])
        self._options = AdamwOptions((section.beta1, section.beta2), section.epsilon, section.max_grad_norm or None)

    def clip(self) -> float:
        return float(torch.linalg.vector_norm(self._flat.flat.gradients))

    def step(self, learning_rate_factor: float) -> None:
        rates = [[group.learning_rate * learning_rate_factor, group.weight_decay] for group in self.groups]
        self._state.groups.copy_(torch.tensor(rates, dtype=torch.float32), non_blocking=True)
        adamw_step(self._flat.flat, self._state, self._options)

    def drop_gradients(self) -> None:
        self._flat.flat.gradients.zero_()

    def state(self) -> OptimizerState:
        tensors = {CLOCK: self._state.clock}
        for name in self._names:
            for kind, buffer in self._moments.items():
                tensors[f"{kind}/{name}"] = self._part(buffer, name)
        return OptimizerState(tensors, {})

    @torch.no_grad()
    def load(self, state: OptimizerState) -> None:
        refresh_copies(self._flat.flat)
        mine = self.state().tensors
        _check_names(set(state.tensors), set(mine))
        for key, value in state.tensors.items():
            mine[key].copy_(value)

    @property
    def _moments(self) -> dict[str, Tensor]:
        return {"exp_avg": self._state.first_moments, "exp_avg_sq": self._state.second_moments}

    def _part(self, buffer: Tensor, name: str) -> Tensor:
        parameter = self._flat.flat.parameters[self._flat.indices[name]]
        start = self._flat.start(name)
        return buffer[start : start + parameter.shape[0] * parameter.shape[1]].view(parameter.shape)


class GroupedOptimizer:
    """One of torch's or of bitsandbytes'."""

    def __init__(self, trained: TrainedSet, plan: RunPlan, flat: FlatSet | None = None) -> None:
        self.groups = trainable_groups(trained, plan)
        self._flat = flat
        self._numbered = [
            (one.name, one.parameter) for group in self.groups for one in trained.tensors if one.group == group.name
        ]
        """In the order in which the optimizer numbers them."""
        self._optimizer = _optimizer(self._torch_groups(trained), plan)
        self._max_grad_norm = plan.recipe.optimizer.max_grad_norm

    def _torch_groups(self, trained: TrainedSet) -> list[dict[str, Any]]:
        return [
            {
                "params": [one.parameter for one in trained.tensors if one.group == group.name],
                "lr": group.learning_rate,
                "weight_decay": group.weight_decay,
            }
            for group in self.groups
        ]

    def clip(self) -> float:
        limit = self._max_grad_norm or float("inf")
        return float(nn.utils.clip_grad_norm_([parameter for _, parameter in self._numbered], limit))

    def step(self, learning_rate_factor: float) -> None:
        for group, ours in zip(self._optimizer.param_groups, self.groups, strict=True):
            group["lr"] = ours.learning_rate * learning_rate_factor
        self._optimizer.step()
        self.drop_gradients()
        if self._flat is not None:
            refresh_copies(self._flat.flat)

    def drop_gradients(self) -> None:
        if self._flat is None:
            self._optimizer.zero_grad(set_to_none=True)
        else:
            self._flat.flat.gradients.zero_()

    def state(self) -> OptimizerState:
        tensors: dict[str, Tensor] = {}
        numbers: dict[str, dict[str, int | float]] = {}
        # Not its state_dict(): that of bitsandbytes wraps what is quantised.
        states = self._optimizer.state
        for name, parameter in self._numbered:
            for key, value in states.get(parameter, {}).items():
                if isinstance(value, Tensor):
                    tensors[f"{key}/{name}"] = value
                else:
                    numbers.setdefault(name, {})[key] = value
        return OptimizerState(tensors, numbers)

    def load(self, state: OptimizerState) -> None:
        if self._flat is not None:
            refresh_copies(self._flat.flat)
        states: dict[str, dict[str, Any]] = {name: dict(values) for name, values in state.numbers.items()}
        for key, value in state.tensors.items():
            kind, _, name = key.partition("/")
            states.setdefault(name, {})[kind] = value
        if states:
            _check_names(set(states), {name for name, _ in self._numbered})
        self._optimizer.load_state_dict(
            {
                "state": {index: states[name] for index, (name, _) in enumerate(self._numbered) if states},
                "param_groups": self._optimizer.state_dict()["param_groups"],
            }
        )
        if getattr(self._optimizer, "is_paged", False):
            self._page()

    def _page(self) -> None:
        """Loading made plain tensors of states that may move to host memory; make them that again."""
        inner: Any = self._optimizer
        for _, parameter in self._numbered:
            state = inner.state[parameter]
            for key in PAGED_KEYS & state.keys():
                paged = inner.get_state_buffer(parameter, dtype=state[key].dtype)
                state[key] = paged.copy_(state[key])


def _check_names(found: set[str], wanted: set[str]) -> None:
    if found != wanted:
        raise AdapterError("The optimizer's state is not of the tensors that are trained.", "See what changed.")


def _groups(trained: TrainedSet, plan: RunPlan) -> Iterable[TrainableGroup]:
    rates = plan.learning_rates
    is_full = plan.adapter.method == "full"
    peaks: dict[Group, float] = {
        "lora_A": rates.adapter,
        "lora_B": rates.adapter * rates.lora_plus_ratio,
        "magnitude": rates.adapter,
        "embedding": rates.embedding,
        "head": rates.embedding,
        "norm": rates.norm,
        "other": rates.adapter if is_full else rates.norm,
    }
    for name, peak in peaks.items():
        parameters = [one.parameter for one in trained.tensors if one.group == name]
        if parameters:
            yield TrainableGroup(
                name=name,
                num_tensors=len(parameters),
                num_parameters=sum(parameter.numel() for parameter in parameters),
                learning_rate=peak,
                weight_decay=0.0 if name in WITHOUT_DECAY else plan.recipe.optimizer.weight_decay,
            )


def _optimizer(groups: list[dict[str, Any]], plan: RunPlan) -> torch.optim.Optimizer:
    section = plan.recipe.optimizer
    options: dict[str, Any] = {"betas": (section.beta1, section.beta2), "eps": section.epsilon}
    if section.name == "adamw":
        return torch.optim.AdamW(groups, fused=True, **options)
    import bitsandbytes.optim

    match section.name:
        case "adamw_8bit":
            return bitsandbytes.optim.AdamW8bit(groups, **options)
        case "paged_adamw":
            return bitsandbytes.optim.PagedAdamW32bit(groups, **options)
        case "paged_adamw_8bit":
            return bitsandbytes.optim.PagedAdamW8bit(groups, **options)
