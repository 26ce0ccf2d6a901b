"""The tokenizer as data preparation sees it."""

import json
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from tests.data.material import CHATML, shared, tiny_tokenizer, write_tokenizer
from tui_tuner.data.tokenizer import load_text_tokenizer
from tui_tuner.errors import DataError

REAL = ("stories260k", "gpt2", "mistral-v3", "phi-3", "qwen3")
TEXT = "a:  \n\n \u00e9\u65e5\u672c\U0001f642 x\tdef  f(): return 7\n"


@pytest.mark.parametrize("name", REAL)
def test_ids_equal_those_of_transformers(name: str) -> None:
    folder = shared(f"tokenizers/{name}")
    theirs = AutoTokenizer.from_pretrained(folder)
    assert load_text_tokenizer(folder).encode(TEXT).ids.tolist() == theirs.encode(TEXT, add_special_tokens=False)


@pytest.mark.parametrize("name", REAL)
def test_ranges_cover_the_text_in_order(name: str) -> None:
    encoded = load_text_tokenizer(shared(f"tokenizers/{name}")).encode(TEXT)
    covered = {place for start, end in zip(encoded.starts, encoded.ends, strict=True) for place in range(start, end)}
    assert list(encoded.starts) == sorted(encoded.starts)
    assert {place for place, character in enumerate(TEXT) if character.strip()} <= covered


def test_bytes_of_one_character_share_its_range(tmp_path: Path) -> None:
    encoded = tiny_tokenizer(tmp_path).encode("a\u00e9\U0001f642 b")
    ranges = list(zip(encoded.starts.tolist(), encoded.ends.tolist(), strict=True))
    assert ranges == [(0, 1), (1, 2), (1, 2), (2, 3), (2, 3), (2, 3), (2, 3), (3, 4), (4, 5)]


def test_special_tokens_are_known_and_never_added(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer(tmp_path, adds_bos=True)
    assert tokenizer.encode("a<|im_end|>").ids.tolist() == [tokenizer.encode("a").ids[0], 259]
    assert (tokenizer.bos_id, tokenizer.eos_id, tokenizer.pad_id, tokenizer.vocab_size) == (256, 257, None, 260)
    assert tokenizer.special_tokens == {"<s>": 256, "</s>": 257, "<|im_start|>": 258, "<|im_end|>": 259}


def test_whether_text_begins_with_bos_is_known(tmp_path: Path) -> None:
    assert tiny_tokenizer(tmp_path / "with", adds_bos=True).adds_bos
    assert not tiny_tokenizer(tmp_path / "without").adds_bos


def test_stop_tokens_come_from_the_generation_config(tmp_path: Path) -> None:
    write_tokenizer(tmp_path)
    (tmp_path / "config.json").write_text('{"eos_token_id": 1}')
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": [259, 257]}')
    assert load_text_tokenizer(tmp_path).stop_ids == (257, 259)


def test_the_template_file_wins_over_the_config(tmp_path: Path) -> None:
    write_tokenizer(tmp_path, template="from the config")
    assert load_text_tokenizer(tmp_path).chat_template == "from the config"
    (tmp_path / "chat_template.jinja").write_text(CHATML)
    assert load_text_tokenizer(tmp_path).chat_template == CHATML


def test_of_named_templates_the_default_is_taken(tmp_path: Path) -> None:
    write_tokenizer(tmp_path)
    named = [{"name": "tool_use", "template": "t"}, {"name": "default", "template": "d"}]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": named}))
    assert load_text_tokenizer(tmp_path).chat_template == "d"


def test_tokens_of_the_config_alone_are_added(tmp_path: Path) -> None:
    write_tokenizer(tmp_path)
    decoder = {"260": {"content": "<tool>", "special": False}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"added_tokens_decoder": decoder}))
    assert load_text_tokenizer(tmp_path).encode("<tool>").ids.tolist() == [260]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("tokenizer.model", "", r"no tokenizer\.json\. It has a tokenizer\.model only"),
        ("config.json", "{}", r"no tokenizer\.json\. Copy"),
        ("tokenizer.json", '{"model": 1', r"tokenizer\.json cannot be read"),
    ],
)
def test_a_folder_without_a_usable_tokenizer_is_refused(tmp_path: Path, name: str, content: str, said: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=said):
        load_text_tokenizer(tmp_path)
