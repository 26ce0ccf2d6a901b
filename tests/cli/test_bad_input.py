"""Bad input gets one line that says what is wrong with which value, one that says what to do, and exit code 2.

Nothing is left behind: no folder for a run that never began.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tiny import write_tiny_model
from tui_tuner.cli import main

ROOT = Path(__file__).resolve().parents[2]
RECIPE = """
model = {source = "model"}
data = {sources = [{path = "rows.jsonl"}]}
training = {max_steps = 1}
acceleration = {device = "cpu"}
"""
Break = Callable[[], None]
Trained = Callable[..., list[str]]


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Trained:
    """Runs `tuner train` on a sound recipe, model and data in the current folder; returns the lines of its refusal."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    write_tiny_model(Path("model"))
    write_rows([{"prompt": "hi", "completion": "ok"}] * 20)
    Path("recipe.toml").write_text(RECIPE)
    capsys.readouterr()

    def train(*arguments: str) -> list[str]:
        monkeypatch.setattr("sys.argv", ["tuner", "train", "recipe.toml", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 2
        assert not Path("runs").exists()
        lines = capsys.readouterr().err.splitlines()
        assert lines[0].startswith("error: ")
        assert len(lines) == 1 or (len(lines) == 2 and lines[1].startswith("  try: "))
        return lines

    return train


def write_rows(rows: list[dict[str, object]]) -> None:
    Path("rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("adapter.rnak=8", "adapter.rnak: no such field; did you mean"),
        ("adapter.rank=eight", 'adapter.rank: is "eight"; allowed: '),
        ("adapter.rank=0", "adapter.rank: is 0; allowed: "),
        ("model.dtype=float8", 'model.dtype: is "float8"; allowed: '),
        ("adapter.targets=[\"qproj\"]", 'adapter.targets: no linear module is called "qproj"; did you mean "q_proj"?'),
        ("adapter.layers=[7]", "adapter.layers: names layer 7; the model has layers 0 to 1"),
        ("optimizer.name=adamw_8bit", 'optimizer.name: is "adamw_8bit", which needs a GPU'),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named_with_its_value(refused: Trained, override: str, said: str) -> None:
    (line,) = refused("--set", override)
    assert said in line


def test_a_recipe_that_is_no_toml_names_the_line(refused: Trained) -> None:
    Path("recipe.toml").write_text("model = {\n")
    assert "recipe.toml is not valid TOML" in refused()[0]


def test_a_model_that_is_not_there(refused: Trained) -> None:
    assert "The model folder absent does not exist" in refused("--set", "model.source=./absent")[0]


def test_a_truncated_weight_file(refused: Trained) -> None:
    weights = Path("model/model.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1000])
    line, hint = refused()
    assert "model.safetensors" in line
    assert "again" in hint


def test_a_missing_shard(refused: Trained) -> None:
    index = {"metadata": {}, "weight_map": {"model.norm.weight": "model-00002-of-00002.safetensors"}}
    Path("model/model.safetensors").unlink()
    Path("model/model.safetensors.index.json").write_text(json.dumps(index))
    assert "model-00002-of-00002.safetensors" in refused()[0]


def test_weights_of_another_shape(refused: Trained) -> None:
    config = json.loads(Path("model/config.json").read_text())
    Path("model/config.json").write_text(json.dumps(config | {"intermediate_size": 64}))
    assert "model.layers.0.mlp" in refused()[0]


def test_weights_that_can_run_code(refused: Trained) -> None:
    Path("model/model.safetensors").rename("model/pytorch_model.bin")
    assert "pickle (pytorch_model.bin), which can run any code" in refused()[0]


def test_a_tokenizer_that_is_missing(refused: Trained) -> None:
    Path("model/tokenizer.json").unlink()
    assert "tokenizer" in refused()[0]


def test_data_that_is_not_there(refused: Trained) -> None:
    Path("rows.jsonl").unlink()
    assert "rows.jsonl" in refused()[0]


def test_an_empty_data_file(refused: Trained) -> None:
    Path("rows.jsonl").write_text("")
    assert "rows.jsonl is empty" in refused()[0]


def test_text_that_is_not_utf8_is_named_by_line_and_byte(refused: Trained) -> None:
    Path("rows.jsonl").write_bytes(b'{"prompt": "hi", "completion": "ok"}\n{"prompt": "\xff", "completion": "ok"}\n')
    assert "rows.jsonl:2: invalid UTF-8 at byte 13 of the line (0xff)" in refused()[0]


def test_a_row_without_an_assistant_turn_is_named_by_line(refused: Trained) -> None:
    turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ok"}]
    write_rows([{"messages": turns}, {"messages": turns[:1]}])
    line, hint = refused()
    assert "rows.jsonl:2" in line
    assert "assistant" in line
    assert 'data.on_bad_row = "drop"' in hint


def test_a_bad_row_that_the_plan_did_not_sample_stops_the_run_before_its_folder_exists(refused: Trained) -> None:
    good: list[dict[str, object]] = [{"prompt": "hi", "completion": "ok"}] * 600
    write_rows([*good[:301], {"prompt": "hi"}, *good])
    assert "rows.jsonl:302" in refused()[0]


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ raise_exception('roles must alternate') }}", "roles must alternate"),
        ("{% for message in messages %}{{ message.content }}", "template.jinja"),
        ("{{ messages[0].content.absent.more }}", ""),
        ("{% for message in messages if message.role == 'user' %}{{ message.content }}{% endfor %}", ""),
    ],
    ids=["that raises", "that is no jinja", "that asks for what is not there", "that shows no answers"],
)
def test_a_template(refused: Trained, template: str, said: str) -> None:
    Path("template.jinja").write_text(template)
    assert said in refused("--set", "data.chat_template=template.jinja")[0]


def test_labels_that_are_all_masked_refuse_to_start(refused: Trained) -> None:
    write_rows([{"prompt": "hi" * 20, "completion": "ok"}] * 20)
    line, hint = refused("--set", "data.max_length=16")
    assert "No trained token is left of 20 rows within max_length = 16" in line
    assert "Raise data.max_length" in hint


def test_rows_that_are_all_bad_refuse_to_start(refused: Trained) -> None:
    write_rows([{"messages": [{"role": "user", "content": "hi"}]}] * 20)
    refused("--set", "data.on_bad_row=drop")


def test_a_file_in_place_of_the_runs_folder(refused: Trained) -> None:
    Path("taken").touch()
    line, hint = refused("--set", "output.folder=taken")
    assert "The runs folder cannot be taken" in line
    assert "output.folder" in hint


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(refused: Trained) -> None:
    Path("closed").mkdir(mode=0o500)
    assert "closed" in refused("--set", "output.folder=closed/runs")[0]


def test_a_disk_that_is_too_small(refused: Trained) -> None:
    line, hint = refused("--set", "training.keep_checkpoints=1000000000")
    assert " free, the run needs up to " in line
    assert "training.keep_checkpoints" in hint


def test_an_adapter_of_another_model(refused: Trained) -> None:
    Path("adapter").mkdir()
    Path("adapter/adapter_config.json").write_text('{"peft_type": "IA3"}')
    assert "adapter is a IA3 adapter" in refused("--set", "model.adapter=adapter")[0]


@pytest.mark.usefixtures("refused")
def test_the_command_itself_says_it_in_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tui_tuner", "plan", "recipe.toml", "--set", "data.sources[0].path=absent.jsonl"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: absent.jsonl")
    assert not (tmp_path / "runs").exists()
