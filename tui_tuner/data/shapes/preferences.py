"""Preference pairs in the forms in which they are published. A row that cannot be used raises a `RowFault`."""

import re
from collections.abc import Mapping

from tui_tuner.data.rows import Message, PreferencePair, SourceRow
from tui_tuner.data.shapes.conversations import turns_of
from tui_tuner.data.shapes.messages import RowFault, check_trainable, with_system

TRANSCRIPT_TURN = re.compile(r"\n\n(Human|Assistant): ?")
"""Marks of the turns in Anthropic's hh-rlhf, where each answer is a whole transcript."""


def preference_pair(row: SourceRow, columns: Mapping[str, str]) -> PreferencePair:
    """Prompt, better and worse answer, each as a text, a turn or a list of turns.

    Answers that repeat the conversation are cut where they part; the shared part is the prompt.
    """
    chosen = _answer(row.fields.get(columns["chosen"]), columns["chosen"])
    rejected = _answer(row.fields.get(columns["rejected"]), columns["rejected"])
    shared = _num_shared(chosen, rejected)
    prompt = chosen[:shared]
    if "prompt" in columns and not prompt:
        prompt = turns_of(row.fields.get(columns["prompt"]), "user", columns["prompt"])
    if not prompt and chosen[0].role != "assistant" and rejected[0].role != "assistant":
        raise RowFault("chosen and rejected begin with different turns, so that they share no prompt")
    if not prompt:
        raise RowFault("no prompt: neither a column of its own nor turns that both answers share")
    system = row.fields.get(columns["system"]) if "system" in columns else None
    pair = PreferencePair(
        ref=row.ref, prompt=with_system(prompt, system), chosen=chosen[shared:], rejected=rejected[shared:]
    )
    for answer in (pair.chosen, pair.rejected):
        check_trainable(answer)
    return pair


def _answer(value: object, field: str) -> tuple[Message, ...]:
    if isinstance(value, str) and TRANSCRIPT_TURN.match(value):
        return _transcript(value)
    return turns_of(value, "assistant", field)


def _transcript(text: str) -> tuple[Message, ...]:
    _, *parts = TRANSCRIPT_TURN.split(text)
    roles = ("user" if speaker == "Human" else "assistant" for speaker in parts[::2])
    return tuple(Message(role=role, content=said) for role, said in zip(roles, parts[1::2], strict=True))


def _num_shared(chosen: tuple[Message, ...], rejected: tuple[Message, ...]) -> int:
    """Turns that open both answers; the last turn of each is its own, even when they are equal."""
    shared = 0
    while shared < min(len(chosen), len(rejected)) - 1 and chosen[shared] == rejected[shared]:
        shared += 1
    return shared
