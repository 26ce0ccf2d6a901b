"""Conversations as values."""

from tui_tuner.hosting.chat.messages import AnswerEnded, AnswerGrew, SamplingSettings, Side
from tui_tuner.screens.chat.talk import Answer, Conversation, Exchange, ask_of


def grew(number: int, side: Side, text: str, tokens: int = 1) -> AnswerGrew:
    return AnswerGrew(number=number, side=side, text=text, num_tokens=tokens, seconds=0.5)


def ended(number: int, side: Side, tokens: int = 4, seconds: float = 2.0) -> AnswerEnded:
    return AnswerEnded(number=number, side=side, reason="end", num_tokens=tokens, num_prompt_tokens=9, seconds=seconds)


def asked(number: int = 1, *, is_blind: bool = False, is_swapped: bool = False) -> Exchange:
    return Exchange(
        number=number,
        question=f"q{number}",
        seed=3,
        base=Answer(),
        tuned=Answer(),
        is_blind=is_blind,
        is_swapped=is_swapped,
    )


def answered(talk: Conversation) -> Conversation:
    last = talk.last
    assert last is not None
    for side in ("base", "tuned"):
        talk = talk.after(grew(last.number, side, f"{side} {last.number}")).after(ended(last.number, side))
    return talk


def test_pieces_grow_the_side_that_they_are_of() -> None:
    talk = Conversation().asked(asked()).after(grew(1, "tuned", "Or")).after(grew(1, "tuned", "der", 2))
    assert talk.last is not None and talk.last.tuned is not None and talk.last.base is not None
    assert (talk.last.tuned.text, talk.last.base.text, talk.is_answering) == ("Order", "", True)


def test_late_pieces_of_an_earlier_question_change_nothing() -> None:
    talk = Conversation().asked(asked(2))
    assert talk.after(grew(1, "base", "late")) is talk


def test_each_side_is_shown_its_own_answers_after_the_system_prompt() -> None:
    talk = answered(Conversation().asked(asked(1))).asked(asked(2))
    request = ask_of(talk, SamplingSettings(seed=99), "Be short.")
    assert [turn.content for turn in request.base] == ["Be short.", "q1", "base 1", "q2"]
    assert [turn.content for turn in request.tuned] == ["Be short.", "q1", "tuned 1", "q2"]
    assert request.sampling.seed == 3


def test_a_blind_exchange_is_hidden_until_its_vote_and_can_be_voted_once() -> None:
    talk = answered(Conversation().asked(asked(is_blind=True, is_swapped=True)))
    assert talk.last is not None and talk.last.is_hidden and talk.last.can_be_voted
    assert talk.last.side_at("left") == "tuned"
    last = talk.voted("tuned").last
    assert last is not None and not last.is_hidden and not last.can_be_voted


def test_speed_is_of_the_sides_own_time() -> None:
    last = answered(Conversation().asked(asked())).last
    assert last is not None and last.base is not None and last.base.tokens_per_second == 2.0


def test_a_model_that_is_gone_ends_what_was_growing() -> None:
    talk = Conversation().asked(asked()).after(ended(1, "base")).broken_off()
    assert talk.last is not None and talk.last.tuned is not None and talk.last.base is not None
    assert (talk.last.base.stop, talk.last.tuned.stop, talk.is_answering) == ("end", "failed", False)
