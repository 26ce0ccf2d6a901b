"""Final batches: no label crosses a border of documents."""

import numpy as np

from tui_tuner.data.audit.packing_check import PackedCheck, check_packed

IDS, POSITIONS = [5, 6, 7, 8, 9, 0, 0], [0, 1, 2, 0, 1, 0, 1]
PADDING = np.array([False] * 5 + [True] * 2)


def check(labels: list[int]) -> PackedCheck:
    return check_packed(np.array(IDS), np.array(labels), np.array(POSITIONS), PADDING)


def test_a_right_batch_passes_and_is_counted() -> None:
    found = check([-100, 7, -100, 9, -100, -100, -100])
    assert found.is_right
    assert (found.num_documents, found.num_tokens, found.num_padding, found.num_trained) == (2, 5, 2, 2)
    assert round(found.padding_share, 3) == 0.286


def test_a_label_of_the_next_document_is_found() -> None:
    assert check([-100, 7, 8, 9, -100, -100, -100]).crossing == (2,)


def test_unshifted_labels_are_found() -> None:
    assert check([5, 6, -100, -100, -100, -100, -100]).wrong == (0, 1)


def test_padding_is_told_by_place_and_not_by_id() -> None:
    assert check([-100, -100, -100, -100, -100, 0, -100]).trained_padding == (5,)
    assert check_packed(np.array([5, 0, 0]), np.array([0, 0, -100]), np.arange(3)).is_right
