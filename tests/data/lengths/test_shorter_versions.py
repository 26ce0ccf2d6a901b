"""What a conversation is without its oldest turns."""

from dataclasses import replace

import pytest

from tests.data.material import REF, turns
from tui_tuner.data.lengths.shorter_versions import ShorterVersions, shorter_versions
from tui_tuner.data.rows import Conversation, Message, PreferencePair, Sample, TextDocument

TOOLS = ({"type": "function", "function": {"name": "add"}},)


def said(*roles: str) -> Conversation:
    """Messages that hold their own places: "suaua" is a system text and two exchanges."""
    names = {"s": "system", "u": "user", "a": "assistant", "t": "tool"}
    return turns(*((names[role], str(place)) for place, role in enumerate(roles)))


def versions_of(sample: Sample) -> ShorterVersions:
    versions = shorter_versions(sample)
    assert versions is not None
    return versions


def contents(sample: Sample) -> str:
    assert isinstance(sample, Conversation)
    return "".join(str(message.content) for message in sample.messages)


@pytest.mark.parametrize(
    ("roles", "expected"),
    [
        ("uaua", ["23"]),
        ("suauaua", ["03456", "056"]),
        ("ua", []),
        ("sua", []),
        ("aua", ["12"]),
        ("uuaua", ["34"]),
        ("uatauata", ["4567"]),
        ("uauau", ["234"]),
        ("ssuaua", ["0145"]),
    ],
)
def test_turns_go_from_the_front_up_to_a_question(roles: str, expected: list[str]) -> None:
    versions = versions_of(said(*roles))
    assert [contents(versions.version(number)) for number in range(len(versions))] == expected


def test_tools_stay() -> None:
    version = versions_of(replace(said(*"uaua"), tools=TOOLS)).version(0)
    assert isinstance(version, Conversation)
    assert version.tools == TOOLS


def test_both_answers_of_a_pair_lose_the_same_turns() -> None:
    prompt = said(*"suau").messages
    pair = PreferencePair(
        ref=REF,
        prompt=prompt,
        chosen=(Message(role="assistant", content="good"),),
        rejected=(Message(role="assistant", content="bad"),),
    )
    versions = versions_of(pair)
    assert [versions.version(number) for number in range(len(versions))] == [
        replace(pair, prompt=(prompt[0], prompt[3]))
    ]


def test_text_has_no_turns_to_lose() -> None:
    assert shorter_versions(TextDocument(ref=REF, text="words")) is None


def test_messages_are_told_by_their_places_in_the_whole_row() -> None:
    versions = versions_of(said(*"suauaua"))
    assert (versions.num_dropped(1), [versions.message_of_row(1, place) for place in range(3)]) == (4, [0, 5, 6])


def test_estimates_shrink_with_the_turns() -> None:
    versions = versions_of(said(*"suauaua"))
    assert versions.full_size > versions.sizes[0] > versions.sizes[1] > 0
