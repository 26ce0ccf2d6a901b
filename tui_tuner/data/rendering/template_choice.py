"""Which chat template a run uses, and prompts rendered with it. The template itself runs in a process of its own."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from tui_tuner.data.audit.token_facts import token_facts
from tui_tuner.data.rendering.builtin_templates import CHATML, CHATML_TOKENS, plain_template
from tui_tuner.data.rendering.frames import TemplateProgram
from tui_tuner.data.rendering.pool import RenderPool
from tui_tuner.data.rows import Message, Tools
from tui_tuner.data.tokenizer import TextTokenizer
from tui_tuner.data.turn_endings import turn_endings
from tui_tuner.errors import DataError
from tui_tuner.places import path_of


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenTemplate:
    """The template of a run, and why it is this one."""

    program: TemplateProgram
    description: str
    reason: str

    @property
    def text(self) -> str:
        return self.program.text

    def audited(self, tokenizer: TextTokenizer) -> TemplateProgram:
        """The program that also audits each row."""
        return replace(self.program, facts=token_facts(tokenizer))


def choose_template(asked: str, tokenizer: TextTokenizer, now: datetime | None = None) -> ChosenTemplate:
    """The template that `data.chat_template` asks for; "auto" is the model's own, else "plain".

    It is compiled only where it is rendered, so that it is not yet known to be valid.

    Args:
        now: what its clock says; the present where None.

    Raises:
        DataError: the file is missing, or a built-in does not fit the tokenizer.
    """
    if asked == "auto" and tokenizer.chat_template is not None:
        return _chosen(tokenizer.chat_template, tokenizer, "the model's own", "the model comes with one", now)
    if asked in ("auto", "plain"):
        reason = "the model has no chat template" if asked == "auto" else "as the recipe says"
        return _chosen(plain_template(tokenizer.adds_bos), tokenizer, "plain (built in)", reason, now)
    if asked == "chatml":
        missing = [token for token in CHATML_TOKENS if token not in tokenizer.added_tokens]
        if missing:
            raise DataError(
                f'chat_template = "chatml" needs the token {missing[0]}, which this tokenizer does not have.',
                'Use "plain", which needs no tokens of its own.',
            )
        return _chosen(CHATML, tokenizer, "chatml (built in)", "as the recipe says", now)
    return _chosen(_template_file(asked), tokenizer, asked, "as the recipe says", now)


class PromptRenderer:
    """Prompts for generation, rendered exactly as in training. Its process starts with the first prompt and stays."""

    def __init__(self, chosen: ChosenTemplate, tokenizer: TextTokenizer) -> None:
        self._program = chosen.program
        self._tokenizer = tokenizer
        self._pool: RenderPool | None = None

    def prompt_ids(self, messages: Sequence[Message], tools: Tools = None) -> list[int]:
        """Token ids of a conversation up to where the model answers.

        Raises:
            DataError: the template is not valid, refuses the messages, or takes too much time or memory.
        """
        if self._pool is None:
            pool = RenderPool()
            pool.load(self._program)
            self._pool = pool
        text = self._pool.render(messages, tools, add_generation_prompt=True)
        return self._tokenizer.encode(text).ids.tolist()


def _chosen(text: str, tokenizer: TextTokenizer, description: str, reason: str, now: datetime | None) -> ChosenTemplate:
    program = TemplateProgram(
        text=text,
        variables=dict(tokenizer.named_tokens),
        name=description,
        endings=turn_endings(tokenizer),
        now=now or datetime.now(),
    )
    return ChosenTemplate(program=program, description=description, reason=reason)


def _template_file(asked: str) -> str:
    path = path_of(asked)
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 (byte {error.start}).", "Save the template as UTF-8.") from error
    except OSError as error:
        near = difflib.get_close_matches(asked, ("auto", "plain", "chatml"), n=1)
        hint = f'Did you mean "{near[0]}"?' if near else 'Use "auto", "plain", "chatml" or a .jinja file.'
        raise DataError(f"chat_template = {asked!r} cannot be read: {error.strerror}.", hint) from error
