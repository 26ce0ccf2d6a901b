"""The widest buffer of the layers, whose memory attention's backward pass may use."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.engine.acceleration.twins import POLICIES, Twins, decoder_of, twins
from tui_tuner.kernels.layer.workspace import Workspace

CPU = torch.device("cpu")


def lending(pair: Twins) -> Twins:
    """The same layers with a work space that lends."""
    decoder = decoder_of(pair.prepared.model)
    stack = replace(decoder.stack, space=Workspace(decoder.stack.space.dtype, CPU, lends=True))
    model = replace(pair.prepared.model, decoder=replace(decoder, stack=stack))
    return replace(pair, prepared=replace(pair.prepared, model=model))


@pytest.mark.parametrize("policy", POLICIES)
def test_lending_changes_nothing(tmp_path: Path, policy: str) -> None:
    pair = twins(tmp_path, "llama", batches=[])
    usual, lent = (one.by_hand("packed", POLICIES[policy]) for one in (pair, lending(pair)))
    assert usual.loss == lent.loss
    assert usual.flat.equal(lent.flat)


def test_what_is_lent_is_not_there_meanwhile_and_back_afterwards() -> None:
    space = Workspace(torch.float32, CPU, lends=True)
    space.matrix("wide", 30, 40)
    with space.lent("wide"):
        assert space.num_bytes == 0
    assert space.num_bytes == 30 * 40 * 4


def test_a_step_that_fails_meanwhile_leaves_nothing_behind_that_the_next_one_trips_over() -> None:
    space = Workspace(torch.float32, CPU, lends=True)
    space.matrix("wide", 30, 40)
    with pytest.raises(MemoryError), space.lent("wide"):
        raise MemoryError
    assert space.matrix("wide", 30, 40).shape == (30, 40)


def test_where_addresses_must_stay_nothing_is_lent() -> None:
    space = Workspace(torch.float32, CPU)
    address = space.matrix("wide", 30, 40).data_ptr()
    with space.lent("wide"):
        assert space.num_bytes == 30 * 40 * 4
    assert space.matrix("wide", 30, 40).data_ptr() == address
