"""Tokens per second from the seconds of single steps."""

import statistics
from collections.abc import Sequence


def tokens_per_second(seconds: Sequence[float], tokens: Sequence[int]) -> float | None:
    """By the median step where all have equally many tokens, else by all of them together; None for no steps."""
    if not seconds or sum(seconds) <= 0:
        return None
    if len(set(tokens)) == 1:
        return tokens[0] / statistics.median(seconds)
    return sum(tokens) / sum(seconds)
