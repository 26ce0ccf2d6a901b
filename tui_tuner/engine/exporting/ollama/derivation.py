"""A Go template from a Jinja chat template: what stands between the turns is found by rendering marked messages."""

from collections.abc import Sequence
from dataclasses import dataclass

from tui_tuner.data.tokenizer import TextTokenizer
from tui_tuner.engine.exporting.chat_rendering import ChatRenderer, Turns
from tui_tuner.engine.exporting.ollama.go_template import literal, render_go
from tui_tuner.errors import DataError

SYSTEM, USER, ANSWER = "SYSTEMMARK", "USERMARK", "ANSWERMARK"
PROBES: tuple[Turns, ...] = (
    (("user", "What is the capital of France?"),),
    (("system", "You are terse."), ("user", "Name a prime.")),
    (("user", "One?"), ("assistant", "1"), ("user", "Two?")),
    (("system", "Count."), ("user", "One?"), ("assistant", "1"), ("user", "Two?"), ("assistant", "2"), ("user", "3?")),
    (("user", "Line one\nline two\n\n{{ .System }} {% raw %} \"quoted\" \\n 'x'"),),
    (("system", "Übung: 数学 🦊"), ("user", "def f(x):\n    return {x: 1}")),
)
"""Conversations that must come out equal."""
EDGE_PROBES: tuple[tuple[str, Turns], ...] = (
    ("messages with spaces around them", (("user", "  hello \n"), ("assistant", " hi "), ("user", "\tbye "))),
    ("an empty message", (("user", ""),)),
)
"""What is rare, and may differ."""


@dataclass(frozen=True, slots=True)
class DerivedTemplate:
    """A Go template, and how it compares with the chat template."""

    text: str
    adds_bos: bool
    """Whether Ollama puts the BOS token in front, so that the template does not."""
    problems: tuple[str, ...]
    """Conversations that must come out equal and do not, in words."""
    remarks: tuple[str, ...]
    """Rare ones that do not."""


@dataclass(frozen=True, slots=True)
class _System:
    """Where a system message goes, and what stands around it."""

    head: str
    end: str
    is_before_last: bool
    """In front of the last user turn, as Mistral has it, and not at the beginning."""


@dataclass(frozen=True, slots=True)
class _Parts:
    """Text around the contents of a conversation."""

    head: str
    between_user_and_answer: str
    between_answer_and_user: str
    end: str
    """After the last user turn: where the model answers."""
    system: _System | None
    """None where the template drops or refuses a system message."""


def derive_template(tokenizer: TextTokenizer) -> DerivedTemplate:
    """Find the parts, write the template, and compare it token for token.

    Raises:
        DataError: the chat template does not put each message into the prompt once and in order.
    """
    chat = ChatRenderer(tokenizer)
    adds_bos = chat.starts_with_bos()
    bos = tokenizer.named_tokens.get("bos_token", "") if adds_bos else ""
    text = _written(_parts(chat), bos)
    problems = [problem for turns in PROBES if (problem := _difference(text, turns, tokenizer, chat, bos))]
    remarks = [name for name, turns in EDGE_PROBES if _difference(text, turns, tokenizer, chat, bos)]
    return DerivedTemplate(text, adds_bos, tuple(problems), tuple(remarks))


def _parts(chat: ChatRenderer) -> _Parts:
    marks = [USER + "A", ANSWER + "A", USER + "B", ANSWER + "B", USER + "C"]
    roles = ("user", "assistant") * 3
    head, user_end, answer_end, *_, end = _split(chat.text(tuple(zip(roles, marks, strict=False))), marks)
    return _Parts(head, user_end, answer_end, end, _system(chat))


def _system(chat: ChatRenderer) -> _System | None:
    turns = (("system", SYSTEM), ("user", USER + "A"), ("assistant", ANSWER), ("user", USER + "B"))
    try:
        text = chat.text(turns)
    except DataError:
        return None
    if SYSTEM not in text:
        return None
    if text.index(SYSTEM) < text.index(USER + "A"):
        head, end, *_ = _split(text, [SYSTEM, USER + "A", ANSWER, USER + "B"])
        return _System(head, end, is_before_last=False)
    head, _, _, end, _ = _split(text, [USER + "A", ANSWER, SYSTEM, USER + "B"])
    return _System(head, end, is_before_last=True)


def _split(text: str, marks: Sequence[str]) -> list[str]:
    parts = []
    for mark in marks:
        before, found, text = text.partition(mark)
        if not found or mark in text:
            raise DataError("The chat template does not put each message into the prompt once and in order.")
        parts.append(before)
    return [*parts, text]


def _written(parts: _Parts, bos: str) -> str:
    head = literal(parts.head.removeprefix(bos))
    before_user = ""
    if parts.system is not None and parts.system.is_before_last:
        before_user = f"{{{{ if and $last $.System }}}}{{{{ $.System }}}}{literal(parts.system.end)}{{{{ end }}}}"
    elif parts.system is not None:
        system = f"{literal(parts.system.head.removeprefix(bos))}{{{{ .System }}}}{literal(parts.system.end)}"
        head = f"{{{{ if .System }}}}{system}{{{{ else }}}}{head}{{{{ end }}}}"
    after_user = literal(parts.end)
    if parts.end != parts.between_user_and_answer:
        otherwise = literal(parts.between_user_and_answer)
        after_user = f"{{{{ if $last }}}}{after_user}{{{{ else }}}}{otherwise}{{{{ end }}}}"
    return (
        f"{head}{{{{ range $i, $m := .Messages }}}}{{{{ $last := eq (len (slice $.Messages $i)) 1 }}}}"
        f'{{{{ if eq $m.Role "user" }}}}{before_user}{{{{ $m.Content }}}}{after_user}'
        '{{ else if eq $m.Role "assistant" }}{{ $m.Content }}'
        f"{{{{ if not $last }}}}{literal(parts.between_answer_and_user)}{{{{ end }}}}"
        "{{ end }}{{ end }}"
    )


def _difference(template: str, turns: Turns, tokenizer: TextTokenizer, chat: ChatRenderer, bos: str) -> str:
    """What differs, in words; empty where the tokens are the same."""
    try:
        wanted = chat.ids(turns)
    except DataError:
        return ""  # The chat template refuses this conversation, so that the model never saw one like it.
    system = next((content for role, content in turns if role == "system"), "")
    found = tokenizer.encode(bos + render_go(template, system, turns)).ids.tolist()
    if found == wanted:
        return ""
    place = next(
        (i for i, (a, b) in enumerate(zip(found, wanted, strict=False)) if a != b), min(len(found), len(wanted))
    )
    shown = tokenizer.decode(wanted[place : place + 6]), tokenizer.decode(found[place : place + 6])
    kinds = " ".join(role for role, _ in turns)
    return f"{kinds}: token {place} begins {shown[0]!r} in the chat template, {shown[1]!r} in Ollama's"
