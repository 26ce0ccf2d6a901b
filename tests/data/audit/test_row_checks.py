"""What the tokens of a row show."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.data.audit.rows import example_of
from tests.data.material import tiny_tokenizer
from tui_tuner.data.audit.row_checks import check_borders, check_fit, check_pair, check_tokens
from tui_tuner.data.tokenizer import EncodedText, TextTokenizer
from tui_tuner.data.turns import TurnSpan

BOS, EOS = 256, 257


@pytest.fixture(name="tokenizer")
def _tokenizer(tmp_path: Path) -> TextTokenizer:
    return tiny_tokenizer(tmp_path / "model", adds_bos=True)


def test_tokens_across_the_borders_of_a_turn_are_told() -> None:
    turn = TurnSpan(message=1, start=4, end=8, reply_end=7)
    for starts, ends, count in (([0, 4], [4, 8], 0), ([0, 3, 5], [3, 5, 9], 2), ([0, 4, 4, 8], [4, 5, 8, 9], 0)):
        encoded = EncodedText(*(np.array(one, dtype=np.int32) for one in (starts, starts, ends)))
        assert [one.check for one in check_borders([turn], encoded)] == ["token_crosses_border"] * count


@pytest.mark.parametrize(
    ("ids", "trained_from", "found"),
    [
        ([BOS, 65, 66, EOS], 2, []),
        ([BOS, BOS, 65, EOS], 2, ["doubled_bos"]),
        ([65, 66, EOS], 1, ["missing_bos"]),
        ([BOS, 65, 66], 3, ["no_trained_token"]),
    ],
)
def test_the_beginning_of_a_row_is_checked(
    ids: list[int], trained_from: int, found: list[str], tokenizer: TextTokenizer
) -> None:
    assert [one.check for one in check_tokens(example_of(ids, trained_from), tokenizer)] == found


def test_a_document_has_to_end_in_eos(tokenizer: TextTokenizer) -> None:
    document = replace(example_of([BOS, 65, 66]), kind="document")
    assert [one.check for one in check_tokens(document, tokenizer)] == ["text_without_eos"]


def test_a_pair_shares_its_prompt_and_closes_both_answers(tokenizer: TextTokenizer) -> None:
    good = example_of([BOS, 65, 66, EOS], 2)
    assert check_pair(good, example_of([BOS, 65, 67, EOS], 2), tokenizer) == ()
    found = check_pair(good, example_of([BOS, 64, 67], 2), tokenizer)
    assert [one.check for one in found] == ["end_of_turn_missing", "preference_prefix"]
    assert "token 1" in found[1].detail


def test_a_pair_of_equal_answers_is_told(tokenizer: TextTokenizer) -> None:
    good = example_of([BOS, 65, 66, EOS], 2)
    assert [one.check for one in check_pair(good, good, tokenizer)] == ["equal_pair"]


def test_a_cut_is_told_and_what_it_leaves() -> None:
    full = example_of([1, 2, 3, 4, 5, 6], 2, 5)
    assert [one.check for one in check_fit(full, None)] == ["row_left_out"]
    cut = check_fit(full, example_of([1, 2, 3, 4], 2))
    assert [one.check for one in cut] == ["row_cut", "answer_cut", "fragment_left"]
    assert [one.check for one in check_fit(full, example_of([1, 2, 3, 4, 5], 2))] == ["row_cut"]


def test_an_answer_that_breaks_off_behind_whole_ones_is_no_fragment() -> None:
    mask = [-100, 2, -100, 4, 5, 6]
    full = replace(example_of([1, 2, 3, 4, 5, 6]), labels=np.array(mask, dtype=np.int32))
    kept = replace(full, input_ids=full.input_ids[:5], labels=full.labels[:5])
    assert [one.check for one in check_fit(full, kept)] == ["row_cut", "answer_cut"]


def test_dropped_turns_are_counted() -> None:
    (finding,) = check_fit(example_of([1, 2, 3, 4, 5, 6]), example_of([4, 5, 6]), 2)
    assert str(finding) == "row_cut: the 2 oldest turns are dropped; 3 of 6 tokens are kept"
