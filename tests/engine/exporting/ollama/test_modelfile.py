"""A Modelfile's template gives the model the tokens that it was trained on, or is not written."""

from pathlib import Path

import pytest

from tests.engine.exporting.made_adapters import exported, of, write_adapter, write_strong_model
from tests.tiny import byte_tokenizer
from tui_tuner.data.tokenizer import TextTokenizer, load_text_tokenizer
from tui_tuner.engine.exporting.ollama.derivation import derive_template
from tui_tuner.errors import DataError
from tui_tuner.exports import ExportKind, ExportProof, ExportWarning

DEFAULT_SYSTEM = (
    "{% if messages[0].role != 'system' %}<|im_start|>system\nBe kind.<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SYSTEM_LAST = (
    "{{ bos_token }}{% set s = messages[0].content + '\n\n' if messages[0].role == 'system' else '' %}"
    "{% for m in messages if m.role != 'system' %}"
    "{% if m.role == 'user' %}[INST]{{ s if loop.last else '' }}{{ m.content }}[/INST]"
    "{% else %}{{ m.content }}{{ eos_token }}{% endif %}{% endfor %}"
)
DROPS_SYSTEM = "{% for m in messages if m.role != 'system' %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant:"
TRIMS = "{% for m in messages %}{{ m.role }}: {{ m.content | trim }}\n{% endfor %}assistant:"
THINKS = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}"
)
COUNTS_TURNS = "{% for m in messages %}({{ loop.index }}) {{ m.content }}\n{% endfor %}({{ messages|length + 1 }})"
REPEATS = "{% for m in messages %}{{ m.content }}{{ m.content }}{% endfor %}"


def tokenizer_with(template: str, folder: Path) -> TextTokenizer:
    byte_tokenizer(template).save_pretrained(folder)
    return load_text_tokenizer(folder)


@pytest.mark.parametrize("template", [DEFAULT_SYSTEM, SYSTEM_LAST, DROPS_SYSTEM, TRIMS, THINKS])
def test_derived_template_gives_the_same_tokens(template: str, tmp_path: Path) -> None:
    assert derive_template(tokenizer_with(template, tmp_path)).problems == ()


def test_bos_is_left_to_the_program_that_adds_it(tmp_path: Path) -> None:
    derived = derive_template(tokenizer_with(SYSTEM_LAST, tmp_path))
    assert derived.adds_bos
    assert "<s>" not in derived.text


def test_trimming_is_told_because_go_cannot(tmp_path: Path) -> None:
    assert derive_template(tokenizer_with(TRIMS, tmp_path)).remarks == ("messages with spaces around them",)


def test_template_that_go_cannot_say_is_refused_with_the_place(tmp_path: Path) -> None:
    assert "token" in derive_template(tokenizer_with(COUNTS_TURNS, tmp_path)).problems[0]


def test_template_that_repeats_messages_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="once and in order"):
        derive_template(tokenizer_with(REPEATS, tmp_path))


def test_modelfile_stands_beside_its_gguf_with_stops(tmp_path: Path) -> None:
    base = write_strong_model(tmp_path / "base")
    adapter = write_adapter(tmp_path / "adapter", base)
    events = exported(adapter, ExportKind.OLLAMA, tmp_path / "ollama")
    lines = (tmp_path / "ollama" / "Modelfile").read_text().splitlines()
    assert lines[0] == "FROM ./adapter-q8_0.gguf"
    assert lines[1].startswith('TEMPLATE """{{') and lines[1].endswith('}}"""')
    assert 'PARAMETER stop "</s>"' in lines
    assert all(proof.passed for proof in of(ExportProof, events))


def test_unequal_template_is_written_only_when_accepted(tmp_path: Path) -> None:
    base = write_strong_model(tmp_path / "base")
    byte_tokenizer(COUNTS_TURNS).save_pretrained(base)
    adapter = write_adapter(tmp_path / "adapter", base)
    with pytest.raises(DataError, match="cannot say what the chat template says"):
        exported(adapter, ExportKind.OLLAMA, tmp_path / "ollama")
    events = exported(adapter, ExportKind.OLLAMA, tmp_path / "ollama", accepts_template=True)
    assert [proof.passed for proof in of(ExportProof, events)] == [True, False]
    assert not of(ExportWarning, events) or (tmp_path / "ollama" / "Modelfile").is_file()
