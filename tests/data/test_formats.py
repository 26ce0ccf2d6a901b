"""Shapes of rows: found, explained, overridden, and turned into conversations."""

import json
from typing import Any

import pytest

from tests.data.material import row
from tui_tuner.data.audit.findings import finding_of_unreadable
from tui_tuner.data.formats import convert_row, detect_shape
from tui_tuner.data.rows import BadRow, Conversation, Message, PreferencePair, SourceRow, TextDocument
from tui_tuner.errors import DataError
from tui_tuner.recipe import DataSource

USER, ASSISTANT = {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}
HUMAN, GPT = {"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}
CALL = {"id": "1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}


def source(**fields: Any) -> DataSource:
    return DataSource(path="rows.jsonl", **fields)


def converted(one: SourceRow, **fields: Any) -> object:
    return convert_row(one, detect_shape([one], source(**fields)))


def said(one: SourceRow, **fields: Any) -> list[tuple[str, str | None]]:
    """Roles and contents; of a preference pair, those of prompt and chosen answer."""
    sample = converted(one, **fields)
    assert isinstance(sample, Conversation | PreferencePair), sample
    messages = sample.messages if isinstance(sample, Conversation) else sample.prompt + sample.chosen
    return [(message.role, message.content) for message in messages]


def reason(one: SourceRow, **fields: Any) -> str:
    bad = converted(one, **fields)
    assert isinstance(bad, BadRow)
    return bad.reason


MARKED_BAD = '"label" is false: the answer is marked as a bad one, which would be trained as a good one'
EXPECTED = "a list of objects with a role and a content is expected"
EXCHANGE = [("user", "q"), ("assistant", "a")]


@pytest.mark.parametrize("first", [{"messages": None}, {"messages": []}, {"messages": "oops"}, {"other": 1}])
def test_a_faulty_first_row_does_not_hide_the_shape(first: dict[str, object]) -> None:
    detected = detect_shape([row(**first), row(messages=[USER, ASSISTANT])], source())
    assert detected.shape == "messages"
    assert isinstance(convert_row(row(**first), detected), BadRow)


@pytest.mark.parametrize(
    ("turn", "unread"),
    [
        ({**ASSISTANT, "reasoning": "step by step", "id": "a1", "refusal": None}, ("reasoning",)),
        ({**ASSISTANT, "parts": [{"text": "two words"}], "name": "bot"}, ("parts",)),
        ({**ASSISTANT, "weight": 0}, ("weight",)),
        ({**ASSISTANT, "weight": 1, "lang": "en"}, ()),
    ],
)
def test_fields_of_turns_that_say_something_and_are_not_read_are_kept_by_name(
    turn: dict[str, object], unread: tuple[str, ...]
) -> None:
    sample = converted(row(messages=[USER, turn]))
    assert isinstance(sample, Conversation)
    assert sample.messages[1].unread == unread


@pytest.mark.parametrize(("beside", "unread"), [("S", ()), ("T", ("the row's own system text",))])
def test_a_system_text_beside_turns_that_bring_another_is_kept_by_name(beside: str, unread: tuple[str, ...]) -> None:
    sample = converted(row(system=beside, messages=[{"role": "system", "content": "S"}, USER, ASSISTANT]))
    assert isinstance(sample, Conversation)
    assert [message.unread for message in sample.messages] == [unread, (), ()]


def test_a_row_without_the_turns_that_others_have_says_so() -> None:
    detected = detect_shape([row(messages=[USER, ASSISTANT])], source())
    bad = convert_row(row(text="a"), detected)
    assert isinstance(bad, BadRow)
    assert bad.reason == 'the row has no "messages", where others list their turns'


def test_pairs_that_share_no_prompt_are_told_so() -> None:
    other = [{**USER, "content": "other"}, ASSISTANT]
    said_reason = reason(row(chosen=[USER, ASSISTANT], rejected=other))
    assert finding_of_unreadable(said_reason).check == "preference_prefix"


@pytest.mark.parametrize(
    ("one", "shape"),
    [
        (row(messages=[USER, ASSISTANT]), "messages"),
        (row(messages=json.dumps([USER, ASSISTANT])), "messages"),
        (row(messages={"role": ["user", "assistant"], "content": ["q", "a"]}), "messages"),
        (row(messages=[{"role": "user", "content": [{"type": "text", "text": "q"}]}, ASSISTANT]), "messages"),
        (row(conversations=[HUMAN, GPT], id=3), "sharegpt"),
        (row(instruction="q", input="", output="a", text="all"), "alpaca"),
        (row(instruction="q", response="a"), "alpaca"),
        (row(question="q", answer="a"), "prompt_completion"),
        (row(prompt=[USER], completion=[ASSISTANT]), "prompt_completion"),
        (row(input="q", output="a"), "prompt_completion"),
        (row(prompt="q", chosen="a", rejected="b"), "preference"),
        (row(conversations=[HUMAN], chosen=GPT, rejected={"from": "gpt", "value": "b"}), "preference"),
        (row(chosen=[USER, ASSISTANT], rejected=[USER, {**ASSISTANT, "content": "b"}]), "preference"),
        (row(prompt="q", chosen=[USER, ASSISTANT], rejected=[USER, ASSISTANT]), "preference"),
        (row(chosen="\n\nHuman: q\n\nAssistant: a", rejected="\n\nHuman: q\n\nAssistant: b"), "preference"),
        (
            row(
                prompt={
                    "text": "q",
                    "role": "prompter",
                    "replies": [{**GPT, "text": "a", "role": "assistant", "replies": []}],
                }
            ),
            "tree",
        ),
    ],
)
def test_shape_and_turns_are_found(one: SourceRow, shape: str) -> None:
    assert detect_shape([one], source()).shape == shape
    assert said(one) == EXCHANGE


def test_plain_text_is_found() -> None:
    assert converted(row(text="once")) == TextDocument(ref=row().ref, text="once")


def test_alpaca_joins_instruction_and_input() -> None:
    assert said(row(instruction="add", input="1 2", output="3", system="s")) == [
        ("system", "s"),
        ("user", "add\n\n1 2"),
        ("assistant", "3"),
    ]


def test_alpaca_history_comes_first() -> None:
    assert said(row(instruction="q2", output="a2", history=[["q", "a"]])) == [
        *EXCHANGE,
        ("user", "q2"),
        ("assistant", "a2"),
    ]


def test_columns_of_the_recipe_win_over_detection() -> None:
    one = row(question="q", response_j="a", response_k="b", text="t")
    columns = {"prompt": "question", "chosen": "response_j", "rejected": "response_k"}
    assert (detect_shape([one], source(columns=columns)).shape, said(one, columns=columns)) == ("preference", EXCHANGE)


def test_the_shape_of_the_recipe_wins_over_detection() -> None:
    assert converted(row(prompt="q", completion="a", text="t"), shape="text") == TextDocument(ref=row().ref, text="t")


def test_detection_says_why() -> None:
    assert detect_shape([row(question="q", answer="a")], source()).reason == 'has "question" and "answer"'


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, r"fits no known shape; its columns are turns, id\. Say which column is what"),
        ({"shape": "alpaca"}, r'no column for "instruction".*it has turns, id\. Write columns = '),
        ({"columns": {"prompt": "turn"}}, r'no column "turn".*Did you mean "turns"\?'),
        ({"columns": {"promt": "turns"}}, r'unknown field "promt"\. Did you mean "prompt"\?'),
    ],
)
def test_what_fits_no_shape_is_refused_with_a_way_out(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        detect_shape([row(turns=["q", "q2"], id=1)], source(**fields))


def test_the_best_ranked_replies_are_followed() -> None:
    def node(
        text: str, role: str, *replies: object, rank: int | None = None, deleted: bool = False
    ) -> dict[str, object]:
        return {"text": text, "role": role, "replies": list(replies), "rank": rank, "deleted": deleted}

    best = node("a", "assistant", node("q2", "prompter", node("a2", "assistant")), rank=1)
    others = [node("x", "assistant", rank=2), node("y", "assistant"), node("z", "assistant", rank=0, deleted=True)]
    tree = node("q", "prompter", *others, best)
    assert said(row(**tree)) == [*EXCHANGE, ("user", "q2"), ("assistant", "a2")]


def test_a_tree_ends_with_its_last_answer() -> None:
    asked = {"text": "q2", "role": "prompter", "replies": []}
    answer = {"text": "a", "role": "assistant", "replies": [asked]}
    assert said(row(prompt={"text": "q", "role": "prompter", "replies": [answer]})) == EXCHANGE


def test_tools_and_calls_are_kept_as_given() -> None:
    call = {"role": "assistant", "content": None, "tool_calls": [CALL]}
    result = {"role": "tool", "content": "3", "tool_call_id": "1", "name": "add"}
    sample = converted(row(messages=[USER, call, result, ASSISTANT], tools=json.dumps([{"name": "add"}])))
    assert isinstance(sample, Conversation)
    assert sample.tools == ({"name": "add"},)
    assert sample.messages[1:3] == (
        Message(role="assistant", content=None, tool_calls=(CALL,)),
        Message(role="tool", content="3", tool_call_id="1", name="add"),
    )


def test_a_sharegpt_function_call_becomes_a_tool_call() -> None:
    call = {"from": "function_call", "value": '{"name": "add", "arguments": {"a": 1}}'}
    sample = converted(row(conversations=[HUMAN, call, {"from": "observation", "value": "3"}, GPT]))
    assert isinstance(sample, Conversation)
    assert sample.messages[1].tool_calls == ({"type": "function", "function": {"name": "add", "arguments": {"a": 1}}},)


@pytest.mark.parametrize(
    ("messages", "said_reason"),
    [
        ([USER], "no assistant turn (roles: user)"),
        ([USER, {**ASSISTANT, "content": " \n"}], "turn 2 is an empty assistant reply"),
        ([USER, {**ASSISTANT, "content": 3}], "the content of turn 2 is a number, not a text"),
        ([USER, {**ASSISTANT, "content": None}], "turn 2 is an empty assistant reply"),
        ([{**USER, "content": None}, ASSISTANT], "turn 1 (user) has no content"),
        (
            [USER, {"role": "assistant", "tool_calls": [{"name": "f", "arguments": '{"a": 1, "a": 2}'}]}],
            'in the arguments of a tool call of turn 2, an object names the key "a" twice',
        ),
        ({"role": ["user", "assistant"], "content": ["a"]}, f"turns are an object; {EXPECTED}"),
        ([USER, {**ASSISTANT, "tool_calls": "f()"}], "the tool_calls of turn 2 are a text that is no JSON"),
        ([{**USER, "role": "judge"}, ASSISTANT], "turn 1 has the unknown role 'judge'"),
        (
            [{**USER, "content": [{"type": "image"}]}, ASSISTANT],
            "the content of turn 1 has a part that is not text (image)",
        ),
        (
            [USER, {"role": "assistant", "content": "", "tool_calls": [{"id": 1}]}],
            "a tool call of turn 2 names no function",
        ),
        ([], "the list of turns is empty"),
        ("hello", f"turns are a text; {EXPECTED}"),
    ],
)
def test_a_row_that_cannot_be_used_says_why(messages: object, said_reason: str) -> None:
    assert reason(row(messages=messages), shape="messages") == said_reason


@pytest.mark.parametrize(
    ("one", "said_reason"),
    [
        (row(prompt="q", completion="a", label=False), MARKED_BAD),
        (row(prompt="q", completion=None), '"completion" is null; a text or a list of turns is expected'),
        (row(instruction=1, output="a"), '"instruction" is a number, not a text'),
        (row(text=" "), '"text" is empty'),
        (row(chosen="a", rejected="b"), "no prompt: neither a column of its own nor turns that both answers share"),
    ],
)
def test_a_field_of_the_wrong_type_says_which(one: SourceRow, said_reason: str) -> None:
    assert reason(one) == said_reason
