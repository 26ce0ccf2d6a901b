"""How long a sequence may be, and whether rows are packed, where the recipe leaves that open."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from tui_tuner.data.tokenizer import IntArray
from tui_tuner.recipe import DataSection

OverLength = Literal["keep_turns", "drop", "cut"]
"""What becomes of a conversation that is longer: it loses its oldest turns, is left out, or loses its end."""
ROUNDED_TO = 64
COVERED_PERCENT = 99
CHEAP_STRETCH = 2.0
"""The longest row is covered too where it is at most this many times the 99th percentile."""
LONGEST_AUTO_DOCUMENT = 2048
"""Plain text is split anyway; longer pieces cost memory and teach a LoRA little more."""
PACKED_FROM_ROWS = 2000
PACKED_BELOW_SHARE = 0.5


def settle_max_length(
    data: DataSection, lengths: Sequence[int] | IntArray, has_documents: bool, context_length: int
) -> int:
    """The recipe's value, else 99 % of the rows rounded up, all of them where that is cheap, within the context."""
    if data.max_length != "auto":
        return min(data.max_length, context_length)
    if not len(lengths):
        return min(LONGEST_AUTO_DOCUMENT, context_length)
    covered = np.minimum(lengths, LONGEST_AUTO_DOCUMENT) if has_documents else np.asarray(lengths)
    p99, longest = int(np.percentile(covered, COVERED_PERCENT, method="higher")), int(covered.max())
    wanted = longest if longest <= CHEAP_STRETCH * p99 else p99
    return min(context_length, -(-wanted // ROUNDED_TO) * ROUNDED_TO)


def settle_packing(data: DataSection, lengths: Sequence[int] | IntArray, num_rows: int, max_length: int) -> bool:
    """The recipe's value, else on for many short rows."""
    if data.packing != "auto":
        return data.packing
    is_short = len(lengths) > 0 and float(np.mean(lengths)) < PACKED_BELOW_SHARE * max_length
    return num_rows > PACKED_FROM_ROWS and is_short
