"""What libraries say goes to the log while a run has one, and to where it went before afterwards."""

import logging
import warnings
from pathlib import Path

import pytest
import transformers

from tui_tuner.engine.library_output import library_output_to


def chatter() -> None:
    warnings.warn("an old function", FutureWarning, stacklevel=1)
    transformers.logging.get_logger("transformers.models").warning("a strange config")
    logging.getLogger("accelerate.hooks").warning("a slow disk")
    for _ in transformers.utils.logging.tqdm(range(3), desc="Loading weights"):
        pass


def test_warnings_records_and_bars_do_not_reach_the_terminal(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with library_output_to(tmp_path / "log.txt"):
        chatter()
    assert capfd.readouterr() == ("", "")
    log = (tmp_path / "log.txt").read_text()
    assert all(said in log for said in ("an old function", "a strange config", "a slow disk"))


def test_without_a_log_they_are_dropped(capfd: pytest.CaptureFixture[str]) -> None:
    with library_output_to(None):
        chatter()
    assert capfd.readouterr() == ("", "")


def test_everything_is_put_back_after_an_error(tmp_path: Path) -> None:
    loggers = [logging.getLogger(name) for name in ("", "transformers", "huggingface_hub", "datasets")]
    before = [list(logger.handlers) for logger in loggers]
    shown = warnings.showwarning
    with pytest.raises(ZeroDivisionError), library_output_to(tmp_path / "log.txt"):
        raise ZeroDivisionError
    assert [list(logger.handlers) for logger in loggers] == before
    assert warnings.showwarning is shown
    assert transformers.utils.logging.is_progress_bar_enabled()
