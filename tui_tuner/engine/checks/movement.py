"""Watches that training moves what is trained and nothing else. It reads every weight a few times in a run."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from tui_tuner.engine.adapters import TrainedSet
from tui_tuner.errors import TrainingError
from tui_tuner.events import WeightsChecked

FIRST_CHECK = 3
"""Steps after which everything must have moved: LoRA's B begins at 0 and moves first, A has a gradient from then on."""
INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
Signature = tuple[int, int]


@dataclass(slots=True)
class WeightWatch:
    """The weights of one model as they were when the watch began."""

    trained: dict[str, nn.Parameter]
    frozen: dict[str, nn.Parameter]
    began: int
    """Step at which the watch began."""
    needs_all: bool
    """Whether each trained tensor must move: of a whole model, parts may have no say in a text."""
    last: int = field(init=False)
    """Step of the last check."""
    _before: dict[str, Signature] = field(init=False)

    def __post_init__(self) -> None:
        self.last = self.began
        self._before = _signatures((*self.trained.items(), *self.frozen.items()))

    def is_due(self, step: int) -> bool:
        """Once, as early as everything should have moved."""
        return self.last == self.began and step >= self.began + FIRST_CHECK

    def check(self, step: int) -> WeightsChecked:
        """Compare with how it began."""
        started = time.perf_counter()
        now = _signatures((*self.trained.items(), *self.frozen.items()))
        same = [name for name in self.trained if now[name] == self._before[name]]
        self.last = step
        return WeightsChecked(
            step=step,
            num_trained=len(self.trained),
            num_frozen=len(self.frozen),
            unmoved=tuple(same) if step - self.began >= FIRST_CHECK else (),
            changed=tuple(name for name in self.frozen if now[name] != self._before[name]),
            seconds=time.perf_counter() - started,
        )

    def refuse(self, checked: WeightsChecked) -> None:
        """Raises TrainingError where something moved that is frozen, or did not move that is trained."""
        if checked.changed:
            raise TrainingError(
                f"After step {checked.step} {_some(checked.changed)} changed, which is frozen.",
                "Nothing of this run can be trusted; please report this.",
            )
        if checked.unmoved and self.needs_all:
            raise TrainingError(
                f"After step {checked.step} {_some(checked.unmoved)} is as it was, although it is trained.",
                "Raise the learning rate of its group, or leave it out of adapter.targets or adapter.modules_to_save.",
            )


def watch_weights(module: nn.Module, trained: TrainedSet, step: int, *, needs_all: bool) -> WeightWatch:
    """Begin to watch a model that is about to be trained."""
    opened = {id(one.parameter) for one in trained.tensors}
    frozen = {name: parameter for name, parameter in module.named_parameters() if id(parameter) not in opened}
    return WeightWatch({one.name: one.parameter for one in trained.tensors}, frozen, step, needs_all)


@torch.no_grad()
def _signatures(tensors: Iterable[tuple[str, nn.Parameter]]) -> dict[str, Signature]:
    """Two sums of each tensor's bits as integers: exact, the same in any order, and without a copy of the tensor."""
    sums = {name: _sums(parameter.detach()) for name, parameter in tensors}
    return {name: (int(whole), int(half)) for name, (whole, half) in sums.items()}


def _sums(tensor: Tensor) -> tuple[Tensor, Tensor]:
    bits = tensor.contiguous().view(INTEGERS[tensor.element_size()]).flatten()
    return bits.sum(dtype=torch.int64), bits[::2].sum(dtype=torch.int64)


def _some(names: tuple[str, ...]) -> str:
    return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")
