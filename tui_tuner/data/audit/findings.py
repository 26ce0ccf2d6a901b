"""What the audit of labels can find: every check with its name, its meaning and what to do. Pure values."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Severity = Literal["blocking", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about one row that a person should know."""

    check: str
    """A name out of `CHECKS`."""
    detail: str
    message: int | None = None
    """Index of the message that it is about."""

    def __str__(self) -> str:
        where = "" if self.message is None else f"turn {self.message + 1}: "
        return f"{self.check}: {where}{self.detail}"


@dataclass(frozen=True, slots=True)
class CheckInfo:
    """One check, for people."""

    name: str
    title: str
    help: str
    """One sentence: what it means, and what to do."""
    severity: Severity


_ALL = (
    CheckInfo(
        "disagreement",
        "The two methods disagree",
        "Two independent derivations of the labels differ in this row; look at it, and set data.on_disagreement to "
        '"drop" or "keep", or choose another chat template.',
        "blocking",
    ),
    CheckInfo(
        "unreadable",
        "Row cannot be read",
        "The row is no valid JSON, or its fields are not what its shape needs; mend the line, or set data.on_bad_row "
        'to "drop".',
        "blocking",
    ),
    CheckInfo(
        "not_located",
        "A turn cannot be located",
        "Where this answer begins or ends in the rendered text is not certain; use a chat template that shows every "
        "turn, or drop the row.",
        "blocking",
    ),
    CheckInfo(
        "reply_dropped",
        "The template drops an answer",
        "The chat template leaves out all that the assistant says in a turn, such as its calls of tools, so that "
        "nothing of it can be trained; choose a template that shows it, or drop the row.",
        "blocking",
    ),
    CheckInfo(
        "template_error",
        "The template refuses the row",
        "The chat template breaks on these messages; check its roles and their order, or choose another template.",
        "blocking",
    ),
    CheckInfo(
        "no_trained_token",
        "Nothing is trained",
        "No token of the row counts in the loss, because it has no answer or the template leaves it out; mend the row "
        "or drop it.",
        "blocking",
    ),
    CheckInfo(
        "unknown_role",
        "Unknown role",
        "A turn has a role that no chat template knows; rename it to system, user, assistant or tool.",
        "blocking",
    ),
    CheckInfo(
        "empty_reply",
        "Empty answer",
        "An assistant turn is empty, so it would teach to say nothing; fill it in or drop the row.",
        "blocking",
    ),
    CheckInfo(
        "doubled_bos",
        "BOS twice",
        "The row begins with two BOS tokens, which the model never sees; take BOS out of the template or the data.",
        "blocking",
    ),
    CheckInfo(
        "preference_prefix",
        "Prompts of a pair differ",
        "Chosen and rejected answer do not stand behind the same tokens; give both the same prompt.",
        "blocking",
    ),
    CheckInfo(
        "equal_pair",
        "Both answers of a pair are the same",
        "Chosen and rejected answer are the same tokens, so the pair prefers nothing; drop it, or mend its answers.",
        "warning",
    ),
    CheckInfo(
        "unconfirmed",
        "Only one method applies",
        "The second method cannot say anything about this row, so its labels rest on the first alone; look at it once.",
        "warning",
    ),
    CheckInfo(
        "lost_field",
        "A field is not in the text",
        "The chat template leaves out something that the row has, so that it is not trained on; rename the field to "
        "what the template reads, or choose another template.",
        "warning",
    ),
    CheckInfo(
        "unread_field",
        "A field of a turn is not read",
        "A turn has a text that no chat template knows, or a weight, and tuner goes by neither; rename the text to "
        "content, reasoning_content, thinking or tool_calls, and split rows of which a turn is not to be trained.",
        "warning",
    ),
    CheckInfo(
        "thinking_stripped",
        "Thoughts of earlier turns left out",
        "The template takes thoughts out of all turns but the last, as it does when the model is used; to train on "
        "them, make one row of each turn.",
        "note",
    ),
    CheckInfo(
        "missing_bos",
        "No BOS",
        "The tokenizer puts BOS before all text, but this row begins without it; add {{ bos_token }} to the template.",
        "warning",
    ),
    CheckInfo(
        "end_of_turn_missing",
        "No end-of-turn token",
        "No special token closes this answer, so the model does not learn to stop; use a template that closes turns.",
        "warning",
    ),
    CheckInfo(
        "end_of_turn_not_trained",
        "End-of-turn token not trained",
        "A token at which generation ends follows this answer but is masked, so the model does not learn to stop; "
        "mend the template's generation block.",
        "warning",
    ),
    CheckInfo(
        "end_of_turn_unknown",
        "Generation does not stop at the end of turn",
        "The answer ends in a token that the model's generation config does not list; add it to eos_token_id there.",
        "note",
    ),
    CheckInfo(
        "control_token_in_text",
        "Control token in a message",
        "A message holds the text of a control token, which becomes that token; remove it unless it is meant.",
        "warning",
    ),
    CheckInfo(
        "prompt_differs",
        "Prompt and row part",
        "The template prompts for this turn with another text than the row has there, so the model is used from where "
        "it was not trained; give the rows thoughts, or switch thinking off when using it.",
        "warning",
    ),
    CheckInfo(
        "token_crosses_border",
        "A token lies across the border of a turn",
        "The tokenizer joins the end of the prompt with the answer, or the answer with what follows, so the model is "
        "prompted with other tokens than it was trained behind; use a template that suits the tokenizer.",
        "warning",
    ),
    CheckInfo(
        "row_left_out",
        "Row left out for its length",
        "The row is longer than data.max_length and nothing of it can be kept under data.over_length, so it is not "
        "trained on; raise data.max_length or split the row.",
        "warning",
    ),
    CheckInfo(
        "row_cut",
        "Row shortened",
        "The row is longer than data.max_length, so its oldest turns are dropped or its end is cut off, as "
        "data.over_length says; raise data.max_length to keep all of it.",
        "note",
    ),
    CheckInfo(
        "answer_cut",
        "Answer cut",
        "An answer loses its end at data.max_length, so the model learns to break off; raise data.max_length or set "
        'data.over_length = "keep_turns".',
        "warning",
    ),
    CheckInfo(
        "fragment_left",
        "Only part of an answer is left",
        "All that the row trains at data.max_length is an answer without its end; raise data.max_length, or set "
        'data.over_length = "keep_turns" to leave such rows out.',
        "warning",
    ),
    CheckInfo(
        "duplicate",
        "Same row again",
        "The same tokens with the same labels have come before; remove copies unless the weight is meant.",
        "note",
    ),
    CheckInfo(
        "leak",
        "Held-out row is trained on",
        "A held-out row is also in the training data, so its loss says nothing; remove it from one of the two.",
        "warning",
    ),
    CheckInfo(
        "text_without_eos",
        "Document without EOS",
        "The document does not end in EOS, so the model does not learn where texts end; give the tokenizer an EOS.",
        "warning",
    ),
    CheckInfo(
        "template_added_text",
        "Text added by the template",
        "The template adds words of its own (a default system prompt, a date), masked but seen by the model; write a "
        "system message to replace them.",
        "note",
    ),
)
CHECKS: Mapping[str, CheckInfo] = MappingProxyType({info.name: info for info in _ALL})
"""All checks, blocking ones first."""


def finding_of_refusal(reason: str) -> Finding:
    """The check that a refused row failed, by the reason that its `BadRow` gives; for one that could be rendered."""
    return Finding(_check_of(reason, "not_located"), reason)


def finding_of_unreadable(reason: str) -> Finding:
    """The same for a row that never got as far as the chat template."""
    return Finding(_check_of(reason, "unreadable"), reason)


def _check_of(reason: str, otherwise: str) -> str:
    return next((check for words, check in _REFUSALS if words in reason), otherwise)


_REFUSALS = (
    ("the template drops or changes the reply", "reply_dropped"),
    ("chosen and rejected begin with different turns", "preference_prefix"),
    ("the chat template", "template_error"),
    ("unknown role", "unknown_role"),
    ("empty assistant reply", "empty_reply"),
    ("no assistant turn", "no_trained_token"),
    ("no token of this row is trained", "no_trained_token"),
)
