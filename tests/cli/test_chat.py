"""A conversation on standard input and output, with a model that echoes."""

import io
from collections.abc import Iterator

import pytest

from tui_tuner.cli.chat import Sampling, Talk


class Echo:
    """Answers with what it was asked and how."""

    has_adapter = True
    description = "an echo"

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def reply(
        self, messages: list[dict[str, str]], *, tuned: bool, max_tokens: int, temperature: float, seed: int
    ) -> Iterator[str]:
        self.asked.append([message["content"] for message in messages])
        yield "tuned " if tuned else "base "
        yield f"{messages[-1]['content']}\x1b[2J {max_tokens} {temperature} {seed}"


def talk(echo: Echo, *, is_tuned: bool = True) -> Talk:
    return Talk(echo, Sampling(max_tokens=9, temperature=0.5, seed=3), is_tuned=is_tuned)  # type: ignore[arg-type]


def test_one_answer_is_streamed_and_made_safe(capsys: pytest.CaptureFixture[str]) -> None:
    talk(Echo(), is_tuned=False).answer_once("hi", as_json=False)
    assert capsys.readouterr().out == "base hi␛[2J 9 0.5 3\n"


def test_json_keeps_the_text_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    talk(Echo()).answer_once("hi", as_json=True)
    assert '"reply": "tuned hi\\u001b[2J 9 0.5 3"' in capsys.readouterr().out


def test_a_conversation_remembers_switches_and_forgets(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("one\n/base\ntwo\n/new\n\nthree\n/what\n/quit\nfour\n"))
    echo = Echo()
    talk(echo).converse()
    answer = "tuned one\x1b[2J 9 0.5 3"
    assert echo.asked == [["one"], ["one", answer, "two"], ["three"]]
    assert "base two" in capsys.readouterr().out


def test_the_end_of_input_ends_the_conversation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    talk(Echo()).converse()
