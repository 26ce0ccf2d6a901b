"""One row from messages to text: rendered, its turns located, its text checked. Runs inside a renderer process."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from tui_tuner.data.audit.findings import Finding
from tui_tuner.data.audit.second_method import NotApplicable, SecondSpan
from tui_tuner.data.audit.text_checks import audit_document, audit_text
from tui_tuner.data.audit.token_facts import TokenFacts
from tui_tuner.data.rows import BadRow, Conversation, PreferencePair, RowRef, Sample, TextDocument
from tui_tuner.data.shapes.messages import RowFault
from tui_tuner.data.turn_endings import TurnEndings
from tui_tuner.data.turns import TurnLocator, TurnSpan

if TYPE_CHECKING:  # a parent process has no use for jinja2
    from tui_tuner.data.chat import ChatTemplate

RowKind = Literal["conversation", "document"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedRow:
    """A row as text, before it is tokens."""

    ref: RowRef
    kind: RowKind
    text: str
    turns: tuple[TurnSpan, ...] = ()
    """What is trained; empty for a document, which is trained whole."""
    question: str = ""
    """The last user turn."""
    findings: tuple[Finding, ...] = ()
    """What the audit of the text found; empty where none was asked for."""
    second: tuple[SecondSpan, ...] | NotApplicable | None = None
    """What is trained by the second method; None for a document, and where no audit was asked for."""
    rejected: "RenderedRow | None" = None
    """The other answer of an audited preference pair."""


class RowRenderer:
    """Renders rows with one template, and audits them where it knows the tokenizer's facts."""

    def __init__(self, template: "ChatTemplate", endings: TurnEndings, facts: TokenFacts | None = None) -> None:
        self._template = template
        self._locator = TurnLocator(template, endings)
        self._facts = facts

    def render(self, sample: Sample) -> RenderedRow | BadRow:
        """A row that the template refuses, or whose turns cannot be located, becomes a `BadRow`."""
        if isinstance(sample, TextDocument):
            findings = () if self._facts is None else audit_document(sample.text, self._facts)
            return RenderedRow(ref=sample.ref, kind="document", text=sample.text, findings=findings)
        try:
            if isinstance(sample, Conversation):
                return self._conversation(sample)
            return self._pair(sample)
        except RowFault as fault:
            return BadRow(ref=sample.ref, reason=str(fault))

    def _pair(self, pair: PreferencePair) -> RenderedRow:
        """The chosen answer; an audit looks at the rejected one as well."""
        chosen = self._conversation(Conversation(ref=pair.ref, messages=pair.prompt + pair.chosen))
        if self._facts is None:
            return chosen
        rejected = self._conversation(Conversation(ref=pair.ref, messages=pair.prompt + pair.rejected))
        return replace(chosen, rejected=rejected)

    def _conversation(self, conversation: Conversation) -> RenderedRow:
        located = self._locator.locate(conversation)
        asked = [message.content or "" for message in conversation.messages if message.role == "user"]
        row = RenderedRow(
            ref=conversation.ref,
            kind="conversation",
            text=located.text,
            turns=located.turns,
            question=asked[-1] if asked else "",
        )
        if self._facts is None:
            return row
        audited = audit_text(conversation, located, self._template, self._facts)
        return replace(row, findings=audited.findings, second=audited.second)
