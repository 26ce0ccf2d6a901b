"""Whatever happens to a checkpoint's files, it is found; an older whole one is taken, and that is said."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.checkpoints.interrupted import EVERYTHING, assert_same, at_step, cut, go_on
from tests.engine.tiny_runs import Done, train
from tui_tuner.engine.checkpoints.choosing import newest_whole, read_checkpoint
from tui_tuner.engine.checkpoints.manifest import CHECKPOINT, verify
from tui_tuner.errors import RunError
from tui_tuner.events import RunResumed, WarningRaised

FLIPS = 64


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Done:
    return train(tmp_path_factory.mktemp("runs"), *EVERYTHING, "output.name=whole")


@pytest.fixture
def checkpoints(whole: Done, tmp_path: Path) -> Path:
    """Two checkpoints of one run, of steps 8 and 9."""
    shutil.copytree(whole.folder / "checkpoints", tmp_path / "checkpoints")
    return tmp_path / "checkpoints"


def taken(checkpoints: Path) -> str | None:
    found, _ = newest_whole(checkpoints)
    return found.folder.name if found else None


def test_a_checkpoint_holds_everything(checkpoints: Path) -> None:
    assert set(verify(checkpoints / "step-000009").files) == {
        "adapter_model.safetensors", "adapter_config.json", "optimizer.safetensors", "training_state.json",
        "identity.json", "manifest.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja",
    }  # fmt: skip
    state = read_checkpoint(checkpoints / "step-000009").state
    assert (state.step, state.position.epoch, state.position.sequence) == (9, 4, 6)


def test_one_flipped_bit_in_any_file_is_found(checkpoints: Path) -> None:
    newest = checkpoints / "step-000009"
    for file in newest.iterdir():
        content = file.read_bytes()
        for damaged in flipped(content):
            file.write_bytes(damaged)
            with pytest.raises(RunError, match=r"damaged|missing|another version"):
                read_checkpoint(newest)
        file.write_bytes(content)
    assert taken(checkpoints) == "step-000009"


def flipped(content: bytes) -> Iterator[bytes]:
    """Copies with one bit flipped, all over the file."""
    for number in range(min(FLIPS, len(content))):
        damaged = bytearray(content)
        damaged[number * len(content) // FLIPS if len(content) > FLIPS else number] ^= 1 << number % 8
        yield bytes(damaged)


@pytest.mark.parametrize("length", [0.0, 0.3, 0.99])
def test_a_file_that_was_cut_off_is_found(checkpoints: Path, length: float) -> None:
    for file in (checkpoints / "step-000009").iterdir():
        content = file.read_bytes()
        file.write_bytes(content[: int(len(content) * length)])
        assert taken(checkpoints) == "step-000008", file.name
        file.write_bytes(content)


def test_a_file_that_is_missing_is_found(checkpoints: Path) -> None:
    for file in (checkpoints / "step-000009").iterdir():
        aside = file.rename(checkpoints / "aside")
        assert taken(checkpoints) == "step-000008", file.name
        aside.rename(file)


def test_a_file_of_another_checkpoint_is_found(checkpoints: Path) -> None:
    for file in (checkpoints / "step-000009").iterdir():
        content, other = file.read_bytes(), (checkpoints / "step-000008" / file.name).read_bytes()
        if content != other:
            file.write_bytes(other)
            assert taken(checkpoints) == "step-000008", file.name
            file.write_bytes(content)


def test_a_checkpoint_under_the_name_of_another_step_keeps_its_step(checkpoints: Path) -> None:
    (checkpoints / "step-000009").rename(checkpoints / "step-000042")
    assert read_checkpoint(checkpoints / "step-000042").state.step == 9


def test_the_newer_of_two_checkpoints_of_a_step_is_taken(checkpoints: Path) -> None:
    shutil.copytree(checkpoints / "step-000009", checkpoints / "step-000009-2")
    assert taken(checkpoints) == "step-000009-2"


def test_a_list_that_names_files_elsewhere_is_refused(checkpoints: Path) -> None:
    listed = checkpoints / "step-000009" / CHECKPOINT
    listed.write_text(listed.read_text().replace('"manifest.json"', '"../manifest.json"'))
    assert taken(checkpoints) == "step-000008"


def test_a_damaged_checkpoint_is_said_set_aside_and_an_older_one_resumed(whole: Done) -> None:
    folder = cut(whole.folder.parents[1], "torn", at_step(7), *EVERYTHING)
    torn = folder / "checkpoints" / "step-000006" / "optimizer.safetensors"
    torn.write_bytes(torn.read_bytes()[:100])
    events = go_on(folder)
    (resumed,) = [one for one in events if isinstance(one, RunResumed)]
    (warning,) = [one for one in events if isinstance(one, WarningRaised)]
    assert resumed.step == 4
    assert f"{torn} is damaged: it has 100 bytes" in warning.message
    assert "An older checkpoint is taken; this one is now damaged-step-000006." in warning.message
    assert (folder / "checkpoints" / "damaged-step-000006").is_dir()
    assert_same(folder, whole.folder)


def test_a_run_without_a_whole_checkpoint_is_refused_and_not_begun_anew(whole: Done) -> None:
    folder = cut(whole.folder.parents[1], "none", at_step(3), *EVERYTHING)
    (folder / "checkpoints" / "step-000002" / CHECKPOINT).unlink()
    with pytest.raises(RunError, match=r"Run none has no whole checkpoint: .*step-000002 is no checkpoint"):
        go_on(folder)
