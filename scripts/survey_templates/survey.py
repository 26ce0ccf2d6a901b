"""Labels every conversation under every template by both methods and by string search, and counts."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scripts.survey_templates.conversations import CONVERSATIONS
from scripts.survey_templates.stand_in_tokenizer import stand_in_tokenizer
from scripts.survey_templates.string_search import Mask, markers_by_hand, searched_mask
from tui_tuner.data.audit.findings import CHECKS, Finding
from tui_tuner.data.audit.second_method import compare_methods
from tui_tuner.data.audit.text_checks import audit_text
from tui_tuner.data.audit.token_facts import token_facts
from tui_tuner.data.chat import compile_template
from tui_tuner.data.shapes.messages import RowFault
from tui_tuner.data.tokenizer import EncodedText
from tui_tuner.data.turn_endings import turn_endings
from tui_tuner.data.turns import LocatedTurns, TurnLocator

HEADS = (
    "conversation", "pass", "flagged", "methods disagree", "refused", "template refuses", "search right",
    "search: white space wrong", "search wrong",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Outcome:
    """One conversation under one template."""

    template: str
    conversation: str
    kind: str
    """pass, flagged, disagree, refused or template refuses."""
    reason: str
    search: str = ""
    """right, wrong, only white space wrong, or not possible; empty where there is nothing to compare with."""


def survey(folder: Path) -> Iterator[Outcome]:
    """All outcomes, templates in the order of their names."""
    for path in sorted(folder.rglob("*.jinja")):
        yield from survey_template(path.relative_to(folder).as_posix(), path.read_bytes().decode())


def survey_template(name: str, text: str) -> Iterator[Outcome]:
    """The outcomes of one template."""
    tokenizer = stand_in_tokenizer(text)
    template = compile_template(text, tokenizer.named_tokens)
    facts, locator = token_facts(tokenizer), TurnLocator(template, turn_endings(tokenizer))
    markers = markers_by_hand(template)
    for conversation_name, conversation in CONVERSATIONS.items():
        try:
            located = locator.locate(conversation)
        except RowFault as fault:
            kind = "template refuses" if "the chat template fails" in str(fault) else "refused"
            yield Outcome(name, conversation_name, kind, _general(str(fault)))
            continue
        audited = audit_text(conversation, located, template, facts)
        encoded = tokenizer.encode(located.text)
        difference = compare_methods(located, audited.second, encoded)
        kind, reason = _judged(audited.findings, difference)
        search = "not possible" if markers is None else _compared(located, encoded, markers)
        yield Outcome(name, conversation_name, kind, reason, search if difference is None else "")


def table(outcomes: list[Outcome]) -> str:
    """The Markdown of docs/labels.md."""
    lines = [f"| {' | '.join(HEADS)} |", "|---" * len(HEADS) + "|"]
    lines += [_line(name, [one for one in outcomes if one.conversation == name]) for name in CONVERSATIONS]
    lines.append(_line("**all**", outcomes))
    lines += ["", "| why flagged or refused | rows | templates | for instance |", "|---|---|---|---|"]
    reasons = Counter((one.kind, one.reason) for one in outcomes if one.kind not in ("pass", "template refuses"))
    for (kind, reason), count in reasons.most_common():
        names = sorted({one.template for one in outcomes if (one.kind, one.reason) == (kind, reason)})
        lines.append(f"| {kind}: {reason} | {count} | {len(names)} | `{names[0]}` |")
    return "\n".join(lines)


def _line(name: str, outcomes: list[Outcome]) -> str:
    kinds, searches = Counter(one.kind for one in outcomes), Counter(one.search for one in outcomes)
    counted = [kinds[kind] for kind in ("pass", "flagged", "disagree", "refused", "template refuses")]
    compared = sum(count for search, count in searches.items() if search)
    right, nearly = searches["right"], searches["only white space wrong"]
    told = f"{right} | {nearly} | {compared - right - nearly}"
    return f"| {name} | {' | '.join(map(str, counted))} | {told} |"


def _judged(findings: tuple[Finding, ...], difference: Finding | None) -> tuple[str, str]:
    """Notes do not count: they need nobody to do anything."""
    if difference is not None:
        return ("disagree" if difference.check == "disagreement" else "flagged"), CHECKS[difference.check].title
    told = [one for one in findings if CHECKS[one.check].severity != "note" and one.check != "control_token_in_text"]
    return ("flagged", CHECKS[told[0].check].title) if told else ("pass", "")


def _compared(located: LocatedTurns, encoded: EncodedText, markers: tuple[str, str]) -> str:
    ours: Mask = np.zeros(len(encoded.ids), dtype=np.bool_)
    for turn in located.turns:
        ours |= (encoded.starts < turn.end) & (encoded.ends > turn.start)
    differing = np.flatnonzero(ours != searched_mask(located.text, encoded, markers)).tolist()
    wrong = [located.text[encoded.starts[token] : encoded.ends[token]].strip() for token in differing]
    if any(wrong):
        return "wrong"
    return "only white space wrong" if wrong else "right"


def _general(reason: str) -> str:
    """A reason without the number of its turn and without quotations."""
    words = reason.split(" with ")[0].split(": ")[0]
    return " ".join("n" if word.rstrip(",").isdigit() else word for word in words.split())
