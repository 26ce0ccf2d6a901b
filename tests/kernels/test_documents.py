"""Documents on one axis: their bounds, spare places, and what does not fit."""

import pytest
import torch

from tui_tuner.kernels.documents import batch_of, pack_of

CPU = torch.device("cpu")


def test_each_token_knows_the_bounds_of_its_document() -> None:
    pack = pack_of((2, 3), 6, CPU)
    assert pack.boundaries.tolist() == [0, 2, 5, 6]
    assert pack.first.tolist() == [0, 0, 2, 2, 2, 5]
    assert pack.end.tolist() == [2, 2, 5, 5, 5, 6]
    assert (pack.tokens, pack.max_length, pack.rows) == (6, 3, None)


def test_a_batch_is_a_pack_of_equal_documents() -> None:
    batch, pack = batch_of(3, 4, CPU), pack_of((4, 4, 4), 12, CPU)
    assert all(torch.equal(getattr(batch, name), getattr(pack, name)) for name in ("boundaries", "first", "end"))
    assert (batch.rows, batch.max_length) == (3, 4)


def test_packs_of_one_size_can_be_refilled() -> None:
    pack = pack_of((2, 3), 6, CPU, slots=4, max_length=6)
    pack.refill(pack_of((1, 1, 1), 6, CPU, slots=4, max_length=6))
    assert pack.boundaries.tolist() == [0, 1, 2, 3, 6]
    assert pack.first.tolist() == [0, 1, 2, 3, 3, 3]


@pytest.mark.parametrize(
    ("lengths", "slots", "max_length"), [((4, 3), None, None), ((1, 1, 1), 2, None), ((5,), None, 4)]
)
def test_what_does_not_fit_is_refused(lengths: tuple[int, ...], slots: int | None, max_length: int | None) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        pack_of(lengths, 6, CPU, slots=slots, max_length=max_length)
