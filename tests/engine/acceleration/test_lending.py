"""The widest buffer of the layers, whose memory attention's backward pass may use, and others that come and go."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.engine.acceleration.twins import POLICIES, Twins, decoder_of, twins
from tui_tuner.kernels.layer.workspace import Workspace

CPU = torch.device("cpu")


class Poisoned(Workspace):
    """New buffers hold what no result may."""

    def _empty(self, size: int) -> Tensor:
        return super()._empty(size).fill_(float("nan"))


def lending(pair: Twins) -> Twins:
    """The same layers with a work space that lends, and in passes of few tokens."""
    decoder = decoder_of(pair.prepared.model)
    space = Poisoned(decoder.stack.space.dtype, CPU, 16, lends=True)
    model = replace(pair.prepared.model, decoder=replace(decoder, stack=replace(decoder.stack, space=space)))
    return replace(pair, prepared=replace(pair.prepared, model=model))


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(
    ("case", "overrides"), [("llama_nf4", ('model.quantization="nf4"',)), ("gemma3", ()), ("cohere2", ())]
)
def test_lending_changes_nothing(tmp_path: Path, case: str, overrides: tuple[str, ...], policy: str) -> None:
    pair = twins(tmp_path, case, *overrides, batches=[])
    usual, lent = (one.by_hand("packed", POLICIES[policy]) for one in (pair, lending(pair)))
    assert lent.loss == pytest.approx(usual.loss, rel=1e-5)
    torch.testing.assert_close(lent.flat, usual.flat, rtol=1e-3, atol=1e-5)


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


def test_where_addresses_must_stay_nothing_is_lent_or_given_back() -> None:
    space = Workspace(torch.float32, CPU)
    address = space.matrix("wide", 30, 40).data_ptr()
    with space.lent("wide"):
        space.give_back("wide")
        assert space.num_bytes == 30 * 40 * 4
    assert space.matrix("wide", 30, 40).data_ptr() == address
