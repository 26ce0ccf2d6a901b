"""Looks at the batches of the first epoch just as the model will get them, before anything is loaded."""

import numpy as np

from tui_tuner.data.audit.packing_check import PackedCheck, check_packed
from tui_tuner.data.store.example_store import StoredExamples
from tui_tuner.engine.batches import Sequence_, collate, epoch_sequences
from tui_tuner.errors import LabelError
from tui_tuner.plan import RunPlan


def check_batches(examples: StoredExamples, plan: RunPlan) -> float:
    """Check each label of each micro-batch of epoch 0; returns the share of padding.

    Raises:
        LabelError: a label is not the token that follows in the same row.
    """
    sequences = epoch_sequences(examples, plan, epoch=0)
    size = plan.schedule.micro_batch_size
    num_tokens = num_padding = 0
    for start in range(0, len(sequences), size):
        taken = sequences[start : start + size]
        check = _check(examples, taken)
        if not check.is_right:
            rows = ", ".join(str(examples[index].ref) for members in taken for index in members)
            raise LabelError(
                f"A batch would train a token that does not follow in its row (rows {rows}).",
                "This is a fault of tuner, please report it; data.packing = false may avoid it.",
            )
        num_tokens += check.num_tokens
        num_padding += check.num_padding
    return num_padding / max(1, num_tokens + num_padding)


def _check(examples: StoredExamples, sequences: tuple[Sequence_, ...]) -> PackedCheck:
    batch = collate(examples, sequences)
    lengths = np.array([examples.lengths[list(members)].sum() for members in sequences])
    is_padding = np.arange(batch.input_ids_BT.shape[1]) >= lengths[:, None]
    return check_packed(batch.input_ids_BT.numpy(), batch.labels_BT.numpy(), batch.position_ids_BT.numpy(), is_padding)
