"""What a generation prompt supplies of a row: the words are typed, nothing is rendered."""

import re

import pytest

from tui_tuner.data.prompted import supplied_by_prompt

UNSPLIT = re.compile(re.escape("<s>") + "|" + re.escape("</s>"))


@pytest.mark.parametrize(
    ("supplied", "written", "prompt"),
    [
        ("    ### Response:\n", "Hi</s>", "    ### Response:\n"),
        ("        ### Response:\n", "Hi</s>", "    ### Response:\n\n"),
        ("        <s>bot\n", "Hi</s>", "    <s>bot\n\n"),
        ("    ASSISTANT:", " Hi</s>", "  ASSISTANT:"),
        ("    ASSISTANT: ", "Hi</s>", "  ASSISTANT:\n"),
    ],
)
def test_a_head_that_is_indented_otherwise_is_supplied(supplied: str, written: str, prompt: str) -> None:
    found = supplied_by_prompt(supplied + written, len(supplied + written) - len("Hi</s>"), prompt, UNSPLIT)
    assert found is not None
    assert found.length == len(supplied)


def test_a_prompt_that_parts_by_white_space_alone_is_told() -> None:
    found = supplied_by_prompt("bot:\nHi", 5, "bot:\n\n", UNSPLIT)
    assert found is not None
    assert found.parts_with == "\n"


def test_a_prompt_that_the_row_keeps_to_parts_with_nothing() -> None:
    found = supplied_by_prompt("bot:\nHi", 5, "bot:\n", UNSPLIT)
    assert found is not None
    assert found.parts_with == ""


def test_another_head_is_nothing_that_the_model_writes() -> None:
    assert supplied_by_prompt("### Answer:\nHi", 12, "### Response:\n", UNSPLIT) is None
