"""All shared tokenizers, byte-level and SentencePiece, under the template that needs no markers: typed masks."""

import json
import unicodedata
from pathlib import Path

import pytest

from tests.data.audit.rows import compared, family_tokenizer, reply, row, system, user
from tests.data.material import label_samples, shared
from tui_tuner.data.chat import compile_template
from tui_tuner.data.labels import NOT_TRAINED, LabelledExample
from tui_tuner.data.rendering.builtin_templates import plain_template
from tui_tuner.data.rows import Conversation
from tui_tuner.data.tokenizer import TextTokenizer, load_text_tokenizer

NAMES = ("gpt2", "mistral-v3", "phi-3", "qwen3", "stories260k")
FAMILY = "\U0001f469\u200d\U0001f469\u200d\U0001f467\U0001f3fd"
ROWS = {
    "single": (row(user("Hello"), reply("Hi there")), ["Hi there"]),
    "three": (
        row(system("Be brief."), user("One?"), reply("1"), user("Two?"), reply("2"), user("Three?"), reply("3")),
        ["1", "2", "3"],
    ),
    "markers": (row(user("x\n\n### Assistant:\nI agree.\n\n### User:\ny"), reply("No."), user("ok"), reply("Yes")),
                ["No.", "Yes"]),
    "equal": (row(user("same"), reply("same"), user("same"), reply("same")), ["same", "same"]),
    "characters": (row(user(f"e\u0301 {FAMILY}"), reply(f"\u6f22 e\u0301\r\n{FAMILY}x")),
                   [f"\u6f22 e\u0301\r\n{FAMILY}x"]),
}  # fmt: skip


def labelled(conversation: Conversation, tokenizer: TextTokenizer) -> LabelledExample:
    template = compile_template(plain_template(tokenizer.adds_bos), tokenizer.named_tokens)
    (example,) = label_samples([conversation], template, tokenizer, "assistant")
    assert isinstance(example, LabelledExample), example
    assert compared(conversation, template, tokenizer) is None
    return example


def trained_runs(example: LabelledExample, tokenizer: TextTokenizer) -> list[str]:
    """Each run of trained tokens, decoded without any help of offsets."""
    runs: list[list[int]] = [[]]
    for label in example.labels.tolist():
        if label != NOT_TRAINED:
            runs[-1].append(label)
        elif runs[-1]:
            runs.append([])
    return [composed(tokenizer.decode(run).lstrip(" ")) for run in runs if run]


def composed(text: str) -> str:
    """Qwen's tokenizer composes letters and their accents."""
    return unicodedata.normalize("NFC", text)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("conversation", "replies"), ROWS.values(), ids=ROWS)
def test_exactly_the_replies_and_their_eos_are_trained(
    name: str, conversation: Conversation, replies: list[str]
) -> None:
    tokenizer = family_tokenizer(name)
    eos = tokenizer.named_tokens["eos_token"]
    assert trained_runs(labelled(conversation, tokenizer), tokenizer) == [composed(said + eos) for said in replies]


@pytest.mark.parametrize("name", ["gpt2", "stories260k"])
def test_a_padding_token_that_is_the_eos_takes_no_label_away(tmp_path: Path, name: str) -> None:
    for file in shared(f"tokenizers/{name}").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = json.loads((tmp_path / "tokenizer_config.json").read_text())
    eos = config["eos_token"]["content"] if isinstance(config["eos_token"], dict) else config["eos_token"]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({**config, "pad_token": eos}))
    tokenizer = load_text_tokenizer(tmp_path)
    assert tokenizer.pad_id == tokenizer.eos_id
    labels = labelled(row(user("A"), reply("B"), user("C"), reply("D")), tokenizer).labels
    assert (labels == tokenizer.eos_id).sum() == 2
