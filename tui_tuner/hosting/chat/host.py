"""Loads a model and answers: `python -m tui_tuner.hosting.chat.host SOURCE RUNS_FOLDER DEVICE`.

Requests come on standard input, events go to standard output; what libraries print goes to standard error. It ends when
its input does, so it never outlives whoever started it.
"""

import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO

from tui_tuner.errors import TunerError
from tui_tuner.hosting.chat.messages import (
    SIDES,
    AnswerEnded,
    AnswerGrew,
    Ask,
    ChatEvent,
    ChatFailed,
    ChatReady,
    ChatRequest,
    Side,
    StopReason,
    chat_request_from_json,
)

if TYPE_CHECKING:
    from tui_tuner.engine.chat import Chat, LiveAnswer

TURN_SECONDS = 0.1
"""How long one side writes before the other has its turn."""
Tell = Callable[[ChatEvent], None]


def main(source: str, runs_folder: str, device: str) -> int:
    requests: queue.SimpleQueue[ChatRequest] = queue.SimpleQueue()
    events = _own_output()
    threading.Thread(target=_listen, args=(requests,), daemon=True).start()

    def tell(event: ChatEvent) -> None:
        events.write(event.model_dump_json().encode() + b"\n")
        events.flush()

    try:
        serve(source, runs_folder, device, requests, tell)
    except TunerError as error:
        tell(ChatFailed(message=error.message, hint=error.hint))
        return 1
    return 0


def serve(source: str, runs_folder: str, device: str, requests: "queue.SimpleQueue[ChatRequest]", tell: Tell) -> None:
    """Load what `source` names, then answer for ever.

    Raises:
        TunerError: it cannot be loaded.
    """
    from tui_tuner.engine.chat import open_chat

    begun = time.monotonic()
    chat = open_chat(source, runs_folder, device)
    seconds = time.monotonic() - begun
    tell(
        ChatReady(
            base_model=chat.base_name,
            has_adapter=chat.has_adapter,
            device=chat.device,
            template=chat.template,
            seconds=seconds,
        )
    )
    while True:
        request = requests.get()
        if isinstance(request, Ask):
            answer(chat, request, tell, lambda: not requests.empty())


def answer(chat: "Chat", ask: Ask, tell: Tell, is_interrupted: Callable[[], bool]) -> None:
    """Let both sides write in turn until each has ended; any later request ends them."""
    growing = dict(_begun(chat, ask, tell))
    while growing:
        for side, live in list(growing.items()):
            reason: StopReason | None = "stopped" if is_interrupted() else None
            problem = ""
            if reason is None:
                text, problem = _advanced(live)
                if text:
                    tell(_grew(ask.number, side, live, text))
                reason = "failed" if problem else live.stop or None
            if reason is not None:
                del growing[side]
                tell(_ended(ask.number, side, live, reason, problem))


def _begun(chat: "Chat", ask: Ask, tell: Tell) -> "list[tuple[Side, LiveAnswer]]":
    from tui_tuner.data.rows import Message
    from tui_tuner.engine.chat import Sampling

    how, begun = Sampling(**ask.sampling.model_dump()), []
    for side in SIDES:
        turns = ask.base if side == "base" else ask.tuned
        if not turns:
            continue
        try:
            messages = [Message(role=turn.role, content=turn.content) for turn in turns]
            begun.append((side, chat.begin(messages, how, tuned=side == "tuned")))
        except TunerError as error:  # a template may refuse a system prompt
            tell(
                AnswerEnded(
                    number=ask.number,
                    side=side,
                    reason="failed",
                    num_tokens=0,
                    num_prompt_tokens=0,
                    seconds=0.0,
                    problem=str(error),
                )
            )
    return begun


def _advanced(live: "LiveAnswer") -> tuple[str, str]:
    """The text that came, or why none can: an answer that fails ends, the model stays."""
    try:
        return live.advance(TURN_SECONDS), ""
    except TunerError as error:
        return "", str(error)


def _grew(number: int, side: Side, live: "LiveAnswer", text: str) -> AnswerGrew:
    return AnswerGrew(number=number, side=side, text=text, num_tokens=live.num_tokens, seconds=live.seconds)


def _ended(number: int, side: Side, live: "LiveAnswer", reason: StopReason, problem: str) -> AnswerEnded:
    return AnswerEnded(
        number=number,
        side=side,
        reason=reason,
        num_tokens=live.num_tokens,
        num_prompt_tokens=live.num_prompt_tokens,
        seconds=live.seconds,
        problem=problem,
    )


def _own_output() -> BinaryIO:
    """Standard output for events alone: whatever else is printed goes to standard error from now on."""
    events = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return events


def _listen(requests: "queue.SimpleQueue[ChatRequest]") -> None:
    """Take requests until the input ends, which ends the process wherever it is."""
    for line in sys.stdin.buffer:
        requests.put(chat_request_from_json(line))
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))
