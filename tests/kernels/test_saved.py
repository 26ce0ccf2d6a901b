"""Host memory in pieces: nothing is lost on the way, and hardly anything is taken in vain."""

import pytest
import torch

from tui_tuner.kernels.layer.saved import SMALLEST_PIECE, HostMemory, PiecedBuffer, piece_sizes

CPU = torch.device("cpu")
SIZES = [0, 1, SMALLEST_PIECE, SMALLEST_PIECE + 1, 3 * SMALLEST_PIECE, 11 * SMALLEST_PIECE - 5]


@pytest.mark.parametrize("size", SIZES)
def test_pieces_are_powers_of_two_and_hold_little_more_than_asked_for(size: int) -> None:
    sizes = piece_sizes(size)
    assert all(one.bit_count() == 1 for one in sizes)
    assert size <= sum(sizes) <= max(size, 1) + SMALLEST_PIECE
    assert sizes == sorted(set(sizes), reverse=True)


@pytest.mark.parametrize("size", SIZES)
def test_a_tensor_comes_back_from_its_pieces_as_it_went(size: int) -> None:
    tensor, back = torch.randn(size // 2, 1).bfloat16(), torch.zeros(size // 2, 1, dtype=torch.bfloat16)
    buffer = PiecedBuffer(tensor.nbytes, is_pinned=False)
    buffer.take(tensor)
    buffer.give(back)
    assert torch.equal(back, tensor)


def test_a_pass_that_failed_is_forgotten() -> None:
    host = HostMemory(CPU)
    for layer in range(2):
        host.send(layer, [torch.full((3, 2), float(layer))])
    host.prefetch(1)
    host.abandon()
    assert host.waiting_bytes == 0
    host.send(1, [torch.full((3, 2), 7.0)])
    assert torch.equal(host.receive(1)[0], torch.full((3, 2), 7.0))


def test_layers_receive_what_they_sent_also_when_a_longer_batch_follows() -> None:
    host = HostMemory(CPU)
    moves = []
    for tokens in (3, 300_000, 5):
        sent = {layer: [torch.randn(tokens, 2), torch.randn(tokens)] for layer in range(2)}
        for layer, tensors in sent.items():
            host.send(layer, tensors)
        assert host.waiting_bytes == 2 * tokens * 12
        for layer in (1, 0):
            for tensor, back in zip(sent[layer], host.receive(layer), strict=True):
                assert torch.equal(tensor, back)
        moves.append(host.moves)
    assert moves[0] == 0
    assert moves[1] == moves[2] > 0
    assert host.waiting_bytes == 0
