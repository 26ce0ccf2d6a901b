"""Checks final packed batches as the model gets them: no label may be predicted across a border of documents."""

from dataclasses import dataclass

import numpy as np

from tui_tuner.data.labels import NOT_TRAINED

BatchArray = np.ndarray[tuple[int, ...], np.dtype[np.integer]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedCheck:
    """What was found in one batch."""

    num_documents: int
    num_tokens: int
    num_padding: int
    num_trained: int
    crossing: tuple[int, ...]
    """Flat positions whose label belongs to the next document."""
    wrong: tuple[int, ...]
    """Flat positions whose label is not the token that follows."""
    trained_padding: tuple[int, ...]
    """Flat positions of padding, or before padding, that have a label."""

    @property
    def padding_share(self) -> float:
        return self.num_padding / max(1, self.num_tokens + self.num_padding)

    @property
    def is_right(self) -> bool:
        return not (self.crossing or self.wrong or self.trained_padding)


def check_packed(
    input_ids: BatchArray,
    shifted_labels: BatchArray,
    position_ids: BatchArray,
    is_padding: np.ndarray[tuple[int, ...], np.dtype[np.bool_]] | None = None,
) -> PackedCheck:
    """Check one batch; all arrays are (rows, length) or (length,).

    `shifted_labels[i]` is the token that position i predicts, or -100. A document begins wherever a position id is
    not one more than the one before. Padding is never told by its id, which may be that of EOS.
    """
    ids, labels, positions = (np.atleast_2d(array) for array in (input_ids, shifted_labels, position_ids))
    padding = np.zeros(ids.shape, dtype=np.bool_) if is_padding is None else np.atleast_2d(is_padding)
    begins = np.ones(ids.shape, dtype=np.bool_)
    begins[:, 1:] = (positions[:, 1:] != positions[:, :-1] + 1) | (padding[:, 1:] != padding[:, :-1])
    is_last = np.ones(ids.shape, dtype=np.bool_)
    is_last[:, :-1] = begins[:, 1:]
    following = np.full(ids.shape, NOT_TRAINED, dtype=np.int64)
    following[:, :-1] = ids[:, 1:]
    is_trained = labels != NOT_TRAINED
    return PackedCheck(
        num_documents=int(np.count_nonzero(begins & ~padding)),
        num_tokens=int(np.count_nonzero(~padding)),
        num_padding=int(np.count_nonzero(padding)),
        num_trained=int(np.count_nonzero(is_trained)),
        crossing=_where(is_trained & is_last & ~padding),
        wrong=_where(is_trained & ~is_last & (labels != following)),
        trained_padding=_where(is_trained & padding),
    )


def _where(mask: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> tuple[int, ...]:
    return tuple(np.flatnonzero(mask).tolist())
