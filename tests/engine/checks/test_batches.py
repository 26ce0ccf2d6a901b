"""Batches and labels are looked at before anything is loaded, and the certificate stays with the run."""

from pathlib import Path

import pytest

from tests.engine.tiny_runs import train
from tui_tuner.data.certificate import read_certificate
from tui_tuner.errors import DataError
from tui_tuner.events import DataReady


def test_the_padding_of_the_first_epoch_is_told(tmp_path: Path) -> None:
    (ready,) = train(tmp_path, "training.max_steps=1").of(DataReady)
    assert ready.padding_share is not None
    assert 0 < ready.padding_share < 0.5


def test_a_run_keeps_its_certificate_and_a_later_one_can_be_held_to_it(tmp_path: Path) -> None:
    done = train(tmp_path, "training.max_steps=1")
    certificate = done.folder / "certificate.json"
    assert read_certificate(certificate).num_rows == 12
    held_to_it = f"data.certificate={certificate}"
    train(tmp_path, "training.max_steps=1", "output.name=two", held_to_it)
    with pytest.raises(DataError, match=r"objective\.train_on changed from assistant to everything"):
        train(tmp_path, "output.name=three", "objective.train_on=everything", held_to_it)
    assert not (tmp_path / "runs" / "three").exists()
