"""A conversation with two sides, as values: what was asked, what each side answered, how far it is. Draws nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from tui_tuner.hosting.chat.messages import AnswerEnded, AnswerGrew, Ask, ChatTurn, SamplingSettings, Side, StopReason

Place = Literal["left", "right"]
Vote = Literal["base", "tuned", "tie"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One side's answer, as far as it came."""

    text: str = ""
    num_tokens: int = 0
    seconds: float = 0.0
    stop: StopReason | None = None
    """None while it grows."""
    problem: str = ""

    @property
    def tokens_per_second(self) -> float | None:
        return self.num_tokens / self.seconds if self.seconds > 0 and self.num_tokens else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One question with its answers. `None` where that side was not asked."""

    number: int
    question: str
    seed: int
    base: Answer | None = None
    tuned: Answer | None = None
    is_blind: bool = False
    is_swapped: bool = False
    """Whether the tuned side stands at the left."""
    vote: Vote | None = None

    def side_at(self, place: Place) -> Side:
        return "tuned" if (place == "left") == self.is_swapped else "base"

    def answer(self, side: Side) -> Answer | None:
        return self.base if side == "base" else self.tuned

    @property
    def is_hidden(self) -> bool:
        """Whether the sides' names are not to be shown yet."""
        return self.is_blind and self.vote is None

    @property
    def is_complete(self) -> bool:
        return all(one is None or one.stop is not None for one in (self.base, self.tuned))

    @property
    def can_be_voted(self) -> bool:
        both = (self.base, self.tuned)
        return self.is_hidden and all(one is not None and one.stop in ("end", "length", "stopped") for one in both)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """Exchanges in their order; the last one may still be growing."""

    exchanges: tuple[Exchange, ...] = ()

    @property
    def last(self) -> Exchange | None:
        return self.exchanges[-1] if self.exchanges else None

    @property
    def is_answering(self) -> bool:
        return self.last is not None and not self.last.is_complete

    def asked(self, exchange: Exchange) -> "Conversation":
        return Conversation(exchanges=(*self.exchanges, exchange))

    def without_last(self) -> "Conversation":
        return Conversation(exchanges=self.exchanges[:-1])

    def voted(self, vote: Vote) -> "Conversation":
        return self._with_last(vote=vote)

    def after(self, event: AnswerGrew | AnswerEnded) -> "Conversation":
        """The conversation with this piece; pieces of a question that is no longer the last change nothing."""
        if self.last is None or self.last.number != event.number:
            return self
        before = self.last.answer(event.side)
        if before is None:
            return self
        if isinstance(event, AnswerGrew):
            now = replace(before, text=before.text + event.text, num_tokens=event.num_tokens, seconds=event.seconds)
        else:
            now = replace(
                before,
                stop=event.reason,
                problem=event.problem,
                num_tokens=event.num_tokens or before.num_tokens,
                seconds=event.seconds or before.seconds,
            )
        return self._with_last(**{event.side: now})

    def broken_off(self) -> "Conversation":
        """What grows will not go on: the model is gone."""
        if self.last is None or not self.is_answering:
            return self
        ended = {
            side: replace(answer, stop="failed")
            for side in ("base", "tuned")
            if (answer := self.last.answer(side)) is not None and answer.stop is None
        }
        return self._with_last(**ended)

    def _with_last(self, **changes: object) -> "Conversation":
        assert self.last is not None
        changed: Exchange = replace(self.last, **changes)  # type: ignore[arg-type]
        return Conversation(exchanges=(*self.exchanges[:-1], changed))


def turns_of(exchanges: Sequence[Exchange], side: Side, system: str) -> tuple[ChatTurn, ...]:
    """What the model is shown on that side: the system prompt, then questions and this side's own answers."""
    turns = [ChatTurn(role="system", content=system)] if system.strip() else []
    for number, exchange in enumerate(exchanges):
        turns.append(ChatTurn(role="user", content=exchange.question))
        answer = exchange.answer(side)
        if answer is not None and number < len(exchanges) - 1:
            turns.append(ChatTurn(role="assistant", content=answer.text))
    return tuple(turns)


def ask_of(conversation: Conversation, sampling: SamplingSettings, system: str) -> Ask:
    """The request that has the last exchange answered."""
    last = conversation.last
    assert last is not None
    shared = sampling.model_copy(update={"seed": last.seed})
    base = turns_of(conversation.exchanges, "base", system) if last.base is not None else ()
    tuned = turns_of(conversation.exchanges, "tuned", system) if last.tuned is not None else ()
    return Ask(number=last.number, base=base, tuned=tuned, sampling=shared)
