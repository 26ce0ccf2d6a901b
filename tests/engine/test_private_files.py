"""What a run leaves on a shared machine: readable by its owner only, without a token, and nothing of a model is run."""

import logging
import os
from pathlib import Path

import pytest

from tests.engine.tiny_runs import recipe_in, train
from tests.tiny import CHATML, write_tiny_model
from tui_tuner.controls import Controls
from tui_tuner.engine.library_output import library_output_to
from tui_tuner.engine.run import run
from tui_tuner.errors import ModelError, TunerError

TOKEN = "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"


def test_folders_are_0700_and_files_0600_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        done = train(tmp_path, "training.save_every=1", 'output.trackers=["tensorboard"]')
    finally:
        os.umask(before)
    modes = {path: path.stat().st_mode & 0o777 for path in (done.folder, *done.folder.rglob("*"))}
    assert {path for path, mode in modes.items() if mode != (0o700 if path.is_dir() else 0o600)} == set()


def test_no_token_of_the_environment_reaches_the_run_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    recipe = recipe_in(tmp_path)
    for event in run(recipe, Controls()):
        if event.kind == "step":
            logging.getLogger("huggingface_hub").warning("retrying with %s", TOKEN)
    run_folder = tmp_path / "runs" / "one"
    assert "retrying with [hidden]" in (run_folder / "log.txt").read_text()
    assert not [path for path in run_folder.rglob("*") if path.is_file() and b"CANARY" in path.read_bytes()]


def test_a_traceback_in_the_log_shows_no_token(tmp_path: Path) -> None:
    with library_output_to(tmp_path / "log.txt"):
        try:
            raise OSError(f"401 for https://u:{TOKEN}@hub")
        except OSError:
            logging.getLogger("any").exception("failed")
    assert "401 for https://[hidden]@hub" in (tmp_path / "log.txt").read_text()


def test_code_in_a_model_folder_is_not_run(tmp_path: Path) -> None:
    model = write_tiny_model(tmp_path / "model")
    canary = tmp_path / "canary"
    code = f"open({str(canary)!r}, 'w').close()\n"
    for name in ("modeling_x.py", "configuration_x.py", "tokenization_x.py", "__init__.py", "sitecustomize.py"):
        (model / name).write_text(code)
    template = CHATML + "{{ ''.__class__.__mro__[1].__subclasses__() }}"
    (model / "chat_template.jinja").write_text(template)
    with pytest.raises(TunerError):
        train(tmp_path)
    assert not canary.exists()


def with_own_code(folder: Path, model_type: str) -> Path:
    """A model whose config names Python files beside it; returns the file that these would write."""
    config = (write_tiny_model(folder / "model") / "config.json").read_text()
    own = f'{{"auto_map": {{"AutoModelForCausalLM": "modeling_x.X"}}, "model_type": "{model_type}",'
    config = config.replace('"model_type": "llama",', "").replace("{", own, 1)
    (folder / "model/config.json").write_text(config)
    (folder / "model/modeling_x.py").write_text(f"open({str(folder / 'canary')!r}, 'w').close()\n")
    return folder / "canary"


def test_a_known_model_that_brings_code_is_trained_without_it(tmp_path: Path) -> None:
    canary = with_own_code(tmp_path, "llama")
    train(tmp_path, "training.max_steps=1")
    assert not canary.exists()


def test_an_unknown_model_that_needs_its_code_is_refused(tmp_path: Path) -> None:
    canary = with_own_code(tmp_path, "mystery")
    with pytest.raises(ModelError):
        train(tmp_path)
    assert not canary.exists()
