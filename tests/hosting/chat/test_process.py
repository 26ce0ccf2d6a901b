"""A real tiny model in a real process: what is asked comes back, and it ends with whoever started it."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tiny import write_tiny_model
from tui_tuner.hosting.chat.messages import (
    AnswerEnded,
    AnswerGrew,
    Ask,
    ChatEvent,
    ChatFailed,
    ChatReady,
    ChatTurn,
    SamplingSettings,
    StopAnswers,
)
from tui_tuner.hosting.chat.process import ChatProcess

HI = (ChatTurn(role="user", content="hi"),)
WARM = SamplingSettings(temperature=2.0, max_tokens=8, seed=3)


def until(process: ChatProcess, kind: type[ChatEvent], count: int = 1) -> list[ChatEvent]:
    """Everything that comes until so many of that kind came."""
    seen: list[ChatEvent] = []
    for _ in range(3000):
        seen += process.poll()
        if sum(isinstance(one, kind) for one in seen) >= count:
            return seen
        time.sleep(0.02)
    raise TimeoutError(f"only {seen}")


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChatProcess]:
    folder = tmp_path_factory.mktemp("chat")
    made = ChatProcess(str(write_tiny_model(folder / "model")), folder / "runs", folder / "log.txt", "cpu")
    until(made, ChatReady)
    yield made
    made.close()


def test_both_sides_answer_from_the_same_seed(process: ChatProcess) -> None:
    process.send(Ask(number=1, base=HI, tuned=HI, sampling=WARM))
    events = until(process, AnswerEnded, 2)
    texts = {
        side: "".join(one.text for one in events if isinstance(one, AnswerGrew) and one.side == side)
        for side in ("base", "tuned")
    }
    assert texts["base"] == texts["tuned"] != ""


def test_an_answer_can_be_stopped_and_the_next_one_comes(process: ChatProcess) -> None:
    process.send(Ask(number=2, base=HI, sampling=WARM.model_copy(update={"max_tokens": 30_000})))
    until(process, AnswerGrew)
    process.send(StopAnswers())
    ended = until(process, AnswerEnded)[-1]
    assert isinstance(ended, AnswerEnded) and (ended.number, ended.reason) == (2, "stopped")
    process.send(Ask(number=3, base=HI, sampling=WARM))
    assert until(process, AnswerEnded)[-1].kind == "ended"


def test_a_process_that_dies_says_so_once(process: ChatProcess) -> None:
    os.kill(process.process_id, signal.SIGKILL)
    (failed,) = until(process, ChatFailed)
    assert isinstance(failed, ChatFailed) and "signal 9" in failed.message
    assert not process.send(StopAnswers()) or process.poll() == []


def test_a_source_that_is_none_is_refused_with_its_reason(tmp_path: Path) -> None:
    process = ChatProcess("nothing-of-that-name", tmp_path / "runs", tmp_path / "log.txt", "cpu")
    failed = until(process, ChatFailed)[-1]
    assert isinstance(failed, ChatFailed) and "nothing-of-that-name" in failed.message and not failed.detail
    process.close()
