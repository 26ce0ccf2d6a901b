"""Every generator of a process goes on from where it was."""

import random

import numpy as np
import pytest
import torch

from tui_tuner.engine.checkpoints.random_state import RandomState, capture, restore

CPU = torch.device("cpu")


def draws() -> list[object]:
    return [
        random.random(),
        random.gauss(),
        np.random.rand(),
        np.random.randn(),
        torch.rand(3).tolist(),
        torch.randn(1).item(),
    ]


@pytest.mark.parametrize("drawn_before", [0, 1, 700])
def test_draws_repeat_after_json(drawn_before: int) -> None:
    for _ in range(drawn_before):
        draws()
    state = RandomState.model_validate_json(capture(CPU).model_dump_json())
    first = draws()
    assert draws() != first
    restore(state, CPU)
    assert draws() == first
