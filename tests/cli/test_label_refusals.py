"""`tuner train` on labels that it refuses: exit code 3, what is wrong and what to do, and nothing left behind."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tiny import CHATML, write_tiny_model
from tui_tuner.cli import main

RECIPE = """
model = {source = "model"}
data = {sources = [{path = "rows.jsonl"}], chat_template = "template.jinja"}
training = {max_steps = 1}
acceleration = {device = "cpu"}
"""
CLOSES_TWICE = CHATML.replace(
    "{{ message.content }}",
    "{{ message.content }}{% if 'over' in message.content %}<|im_end|> and{% endif %}",
)
Refused = Callable[..., str]


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Refused:
    """Runs `tuner` with arguments; returns what it says on stderr when it refuses."""
    monkeypatch.chdir(tmp_path)
    write_tiny_model(Path("model"))
    Path("recipe.toml").write_text(RECIPE)
    Path("template.jinja").write_text(CHATML)
    write_rows(*(f"number {number}" for number in range(11)))

    def run(*arguments: str) -> str:
        monkeypatch.setattr("sys.argv", ["tuner", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        assert (ended.value.code, Path("runs").exists()) == (3, False)
        return capsys.readouterr().err

    return run


def write_rows(*answers: str) -> None:
    lines = [json.dumps({"prompt": "hi", "completion": answer}) for answer in answers]
    Path("rows.jsonl").write_text("\n".join(lines) + "\n")


def test_rows_on_which_the_methods_disagree(refused: Refused) -> None:
    Path("template.jinja").write_text(CLOSES_TWICE)
    write_rows("so", "it is over", "good")
    said = refused("train", "recipe.toml")
    assert "The two methods disagree: 1 row. The first: " in said
    assert "rows.jsonl:2" in said
    assert "set data.on_disagreement to" in said
    assert "disagree: 1 row" in refused("labels", "recipe.toml", "--json", "--row", "1")


def test_labels_that_are_not_the_certified_ones(refused: Refused) -> None:
    certificate = {
        **dict.fromkeys(("tokenizer", "template", "data", "masking_code", "labels", "evaluation_labels"), "0"),
        "train_on": "assistant", "max_length": 8, "over_length": "drop", "packing": False, "num_rows": 1,
        "num_evaluation_rows": 1,
    }  # fmt: skip
    Path("certificate.json").write_text(json.dumps(certificate))
    said = refused("train", "recipe.toml", "--set", "data.certificate=certificate.json")
    assert "The labels are not the certified ones: the tokenizer (tokenizer.json or its settings) changed; " in said
    assert "data.over_length changed from drop to keep_turns" in said
