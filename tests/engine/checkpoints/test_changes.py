"""A run does not go on with other data, labels, weights, settings or versions, unless a person accepts them."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.engine.checkpoints.interrupted import EVERYTHING, go_on, stopped
from tests.engine.tiny_runs import greetings, write_rows
from tests.tiny import CHATML, byte_tokenizer, write_tiny_model
from tui_tuner.engine import building
from tui_tuner.errors import (
    EXIT_BAD_INPUT,
    EXIT_LABELS_REFUSED,
    Change,
    DataError,
    ModelError,
    RunError,
    TunerError,
)
from tui_tuner.events import RunFinished, RunResumed
from tui_tuner.journal import is_alive, read_state


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was stopped after three of nine steps."""
    return stopped(tmp_path_factory.mktemp("original"), "one", 3, *EVERYTHING)


@pytest.fixture
def run_folder(tmp_path: Path, original: Path) -> Path:
    """The same run, its rows and its model, in a folder that may be changed."""
    here, there = str(tmp_path), str(original.parents[1])
    shutil.copytree(there, here, dirs_exist_ok=True)
    for text in [*tmp_path.rglob("recipe.toml"), *tmp_path.rglob("identity.json")]:
        text.write_text(text.read_text().replace(there, here))
    rehash(tmp_path / "runs" / "one")
    return tmp_path / "runs" / "one"


def rehash(run: Path) -> None:
    """Only the place has changed, which the checkpoint's list must not hold against it."""
    from tui_tuner.engine.checkpoints.manifest import CHECKPOINT, write_manifest

    for folder in (run / "checkpoints").iterdir():
        (folder / CHECKPOINT).unlink()
        write_manifest(folder, int(folder.name.removeprefix("step-")))


def refused(run: Path) -> TunerError:
    """Resuming fails before anything is written."""
    before = (run / "events.jsonl").read_bytes()
    with pytest.raises(TunerError) as caught:
        go_on(run)
    assert (run / "events.jsonl").read_bytes() == before
    assert not is_alive(run)
    return caught.value


def change_a_row(run: Path) -> None:
    rows = greetings()
    rows[3] = {"prompt": "hi", "completion": "changed"}
    write_rows(run.parents[1] / "rows.jsonl", rows)


def change_the_order(run: Path) -> None:
    write_rows(run.parents[1] / "rows.jsonl", reversed(greetings()))


def change_the_template(run: Path) -> None:
    byte_tokenizer(CHATML.replace("assistant\n", "assistant: ")).save_pretrained(run.parents[1] / "model")


def change_the_tokenizer(run: Path) -> None:
    tokenizer = byte_tokenizer()
    tokenizer.add_tokens(["<new>"])
    tokenizer.save_pretrained(run.parents[1] / "model")


def change_the_weights(run: Path) -> None:
    file = run.parents[1] / "model" / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    file.write_bytes(content)


def change_the_alpha(run: Path) -> None:
    edit(run, "alpha = 8", "alpha = 32")


def edit(run: Path, before: str, after: str) -> None:
    recipe = run / "recipe.toml"
    text = recipe.read_text()
    assert before in text, text
    recipe.write_text(text.replace(before, after))


LABELS = {
    "row": (change_a_row, "the bytes of the data files"),
    "order": (change_the_order, "the labels of the training rows"),
    "template": (change_the_template, "the chat template"),
    "tokenizer": (change_the_tokenizer, "the tokenizer (tokenizer.json or its settings)"),
}


@pytest.mark.parametrize("kind", LABELS)
def test_changed_labels_are_refused_with_what_changed(run_folder: Path, kind: str) -> None:
    change, what = LABELS[kind]
    change(run_folder)
    error = refused(run_folder)
    assert error.exit_code == EXIT_LABELS_REFUSED
    assert what in [one.what for one in error.changes]
    assert "`tuner resume one --accept`" in error.hint


def test_changed_weights_of_the_base_are_refused(run_folder: Path) -> None:
    change_the_weights(run_folder)
    error = refused(run_folder)
    assert error.exit_code == EXIT_BAD_INPUT
    assert [one.what for one in error.changes] == ["the base model's weights"]


SETTINGS = {
    "adapter.alpha": ("alpha = 8", "alpha = 32", Change(what="adapter.alpha", before="8.0", now="32.0")),
    "training.seed": ("[training]", "[training]\nseed = 1", Change(what="training.seed", before="3407", now="1")),
    "batch": ("gradient_accumulation = 3", "gradient_accumulation = 2",
              Change(what="training.gradient_accumulation", before="3", now="2")),
}  # fmt: skip


@pytest.mark.parametrize("field", SETTINGS)
def test_a_changed_setting_is_refused_by_its_name(run_folder: Path, field: str) -> None:
    before, after, change = SETTINGS[field]
    edit(run_folder, before, after)
    error = refused(run_folder)
    assert error.exit_code == EXIT_BAD_INPUT
    assert error.changes == (change,)


def test_another_version_is_refused(run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    newer = {**building.library_versions(), "torch": "9.9", "peft": "9.9"}
    monkeypatch.setattr(building, "library_versions", lambda: newer)
    (change,) = refused(run_folder).changes
    assert (change.what, change.now) == ("the version of torch", "9.9")


@pytest.mark.parametrize("change", [change_a_row, change_the_alpha])
def test_what_a_person_accepts_is_noted_and_the_run_ends_well(run_folder: Path, change: Callable[[Path], None]) -> None:
    change(run_folder)
    expected = refused(run_folder).changes
    events = go_on(run_folder, accept=True)
    (resumed,) = [one for one in events if isinstance(one, RunResumed)]
    assert resumed.accepted == expected
    assert isinstance(events[-1], RunFinished)
    assert read_state(run_folder).resumed[0].accepted == expected


def test_what_was_accepted_once_is_not_asked_again(run_folder: Path) -> None:
    change_the_alpha(run_folder)
    go_on(run_folder, until=4, accept=True)
    assert isinstance(go_on(run_folder)[-1], RunFinished)


def test_a_checkpoint_of_other_tensors_cannot_be_accepted(run_folder: Path) -> None:
    edit(run_folder, "rank = 4", "rank = 8")
    before = (run_folder / "events.jsonl").read_bytes()
    with pytest.raises(RunError, match="does not hold the tensors") as caught:
        go_on(run_folder, accept=True)
    assert caught.value.changes == (Change(what="adapter.rank", before="4", now="8"),)
    assert (run_folder / "events.jsonl").read_bytes() == before


def test_a_data_set_that_vanished_is_named(run_folder: Path) -> None:
    (run_folder.parents[1] / "rows.jsonl").unlink()
    error = refused(run_folder)
    assert isinstance(error, DataError)
    assert "rows.jsonl" in error.message
    assert "does not exist" in error.message


def test_a_model_that_is_gone_is_named(run_folder: Path) -> None:
    shutil.rmtree(run_folder.parents[1] / "model")
    error = refused(run_folder)
    assert isinstance(error, ModelError)
    assert error.message == f"The model folder {run_folder.parents[1] / 'model'} does not exist."


def test_a_model_that_was_moved_with_its_project_is_found_by_its_relative_name(
    run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for text in [*tmp_path.rglob("recipe.toml"), *tmp_path.rglob("identity.json")]:
        content = text.read_text()
        for before in ("source = ", '"source":'):
            content = content.replace(f'{before}"{tmp_path}/model"', f'{before}"model"')
        text.write_text(content)
    rehash(run_folder)
    (tmp_path / "moved").mkdir()
    (tmp_path / "model").rename(tmp_path / "moved" / "model")
    monkeypatch.chdir(tmp_path / "moved")
    assert isinstance(go_on(run_folder)[-1], RunFinished)


def test_a_truncated_shard_is_refused(run_folder: Path) -> None:
    file = run_folder.parents[1] / "model" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    assert [one.what for one in refused(run_folder).changes] == ["the base model's weights"]
    with pytest.raises(ModelError, match="model could not be loaded"):
        go_on(run_folder, accept=True)


def test_a_template_that_writes_the_date_writes_that_of_the_first_day(tmp_path: Path) -> None:
    """Llama 3's own does: on another day every label would be another."""
    dated = "<|im_start|>system\n{{ strftime_now('%S.%f') }}<|im_end|>\n" + CHATML
    write_tiny_model(tmp_path / "model")
    byte_tokenizer(dated).save_pretrained(tmp_path / "model")
    folder = stopped(tmp_path, "one", 3, *EVERYTHING)
    assert isinstance(go_on(folder)[-1], RunFinished)
