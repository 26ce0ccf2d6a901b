"""The search for the longest sequence that fits, with a device whose memory is a formula."""

import pytest

from tui_tuner.engine.bench.peers.longest import MOST_TRIES, Search
from tui_tuner.engine.bench.peers.outside.peer_runner.job import Answer

GIB = 2**30


def found(budget: float, a_token: float, *, fixed: float = 6.0, most: int = 524_288) -> Search:
    """`a_token`: MiB. Peaks bend a little, as those of real steps do."""
    search = Search(int(budget * GIB), most)
    while (length := search.next_length()) is not None:
        peak = int(fixed * GIB + length * a_token * 2**20 * (1 + 0.05 * length / most))
        status = "done" if peak <= search.budget else "out of memory"
        search.note(length, Answer(status="done" if status == "done" else "out of memory", peak_bytes=peak))
    return search


@pytest.mark.parametrize(("budget", "a_token"), [(24, 0.2), (24, 2.5), (80, 0.2), (80, 0.5), (80, 3.0)])
def test_it_comes_within_two_percent_of_the_longest(budget: float, a_token: float) -> None:
    search = found(budget, a_token)
    longest = max(length for length in range(64, 524_289, 64) if _fits(length, budget, a_token))
    assert 0.98 * longest <= search.longest <= longest
    assert search.tries <= MOST_TRIES


def test_nothing_longer_than_the_models_context_is_tried() -> None:
    assert found(80, 0.01, most=32_768).longest == 32_768


def test_where_nothing_fits_none_is_found() -> None:
    assert found(4, 1.0).longest == 0


def _fits(length: int, budget: float, a_token: float) -> bool:
    return 6.0 * GIB + length * a_token * 2**20 * (1 + 0.05 * length / 524_288) <= budget * GIB
