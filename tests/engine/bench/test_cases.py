"""Which settings a name stands for."""

import pytest

from tui_tuner.engine.bench.peers.cases import CASES, chosen_cases
from tui_tuner.errors import RecipeError


def names(*chosen: str) -> list[str]:
    return [case.name for case in chosen_cases(chosen)]


def test_the_beginning_of_a_name_takes_all_that_begin_so() -> None:
    assert names("8b-bf16") == ["8b-bf16-recompute", "8b-bf16-keep"]
    assert names("real-1b") == ["real-1b-gsm8k", "real-1b-oasst"]


def test_a_beginning_ends_at_a_dash() -> None:
    with pytest.raises(RecipeError, match="'8b-bf1' is no case"):
        chosen_cases(("8b-bf1",))


def test_all_leaves_out_those_for_tests() -> None:
    assert names("all") == [case.name for case in CASES if case.shape != "tiny"]


def test_a_case_that_is_named_twice_is_measured_once() -> None:
    assert names("1b-bf16-keep", "1b") == ["1b-bf16-keep", "1b-bf16-recompute"]


def test_peers_have_16_bits_where_we_have_8() -> None:
    (case,) = chosen_cases(("8b-fp8-keep",))
    assert (case.base, case.peers_base) == ("fp8", "bf16")
