"""Which template is chosen, and prompts rendered with it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.data.material import CHATML, shared, tiny_tokenizer
from tui_tuner.data.rendering.pool import RenderPool
from tui_tuner.data.rendering.template_choice import ChosenTemplate, PromptRenderer, choose_template
from tui_tuner.data.rows import Message
from tui_tuner.data.tokenizer import load_text_tokenizer
from tui_tuner.errors import DataError

ASKED, SYSTEM = Message(role="user", content="Hi"), Message(role="system", content="Be kind.")


def render(chosen: ChosenTemplate, messages: Sequence[Message]) -> str:
    with RenderPool() as pool:
        pool.load(chosen.program)
        return pool.render(messages)


def test_auto_is_the_models_own_template_else_plain(tmp_path: Path) -> None:
    own = choose_template("auto", tiny_tokenizer(tmp_path / "own", CHATML))
    plain = choose_template("auto", tiny_tokenizer(tmp_path / "none"))
    assert (own.text, own.description) == (CHATML, "the model's own")
    assert (plain.description, plain.reason) == ("plain (built in)", "the model has no chat template")


def test_plain_uses_nothing_but_text_and_the_tokenizers_own_ends(tmp_path: Path) -> None:
    messages = (SYSTEM, ASKED, Message(role="assistant", content="ok"))
    chosen = choose_template("plain", tiny_tokenizer(tmp_path, adds_bos=True))
    assert render(chosen, messages) == "<s>Be kind.\n\n### User:\nHi\n\n### Assistant:\nok</s>\n\n"


def test_plain_without_a_named_eos_says_where_it_would_be_named(tmp_path: Path) -> None:
    unnamed = replace(tiny_tokenizer(tmp_path), named_tokens={})
    with pytest.raises(DataError, match=r"no tokenizer_config\.json names it"):
        render(choose_template("plain", unnamed), (ASKED, Message(role="assistant", content="ok")))


def test_chatml_is_refused_where_its_tokens_are_missing() -> None:
    with pytest.raises(DataError, match=r'needs the token <\|im_start\|>.*Use "plain"'):
        choose_template("chatml", load_text_tokenizer(shared("tokenizers/stories260k")))


def test_a_template_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "mine.jinja").write_text("{{ 'mine' }}")
    chosen = choose_template(str(tmp_path / "mine.jinja"), tiny_tokenizer(tmp_path / "model", CHATML))
    assert render(chosen, [ASKED]) == "mine"


def test_a_mistyped_template_is_answered_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match='"chatlm" cannot be read.*Did you mean "chatml"'.replace('"chatlm"', "'chatlm'")
    ):
        choose_template("chatlm", tiny_tokenizer(tmp_path))


def test_a_prompt_ends_where_the_model_answers(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer(tmp_path, CHATML)
    prompts = PromptRenderer(choose_template("auto", tokenizer), tokenizer)
    assert tokenizer.decode(prompts.prompt_ids([ASKED])) == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
