from pathlib import Path

from tests.screens.runs.material import write_run
from tui_tuner.screens.runs.catalogue import RunCatalogue


def test_a_journal_that_did_not_grow_is_not_read_again(tmp_path: Path) -> None:
    write_run(tmp_path, "one", losses=(3.0, 2.0))
    catalogue = RunCatalogue((tmp_path,))
    assert catalogue.entries()[0] is catalogue.entries()[0]


def test_a_journal_that_grew_is_read_again(tmp_path: Path) -> None:
    write_run(tmp_path, "one", losses=(3.0, 2.0))
    catalogue = RunCatalogue((tmp_path,))
    assert catalogue.entries()[0].summary.step == 2
    write_run(tmp_path, "one", losses=(3.0, 2.0, 1.0))
    assert catalogue.entries()[0].summary.step == 3


def test_a_run_that_was_deleted_is_gone_from_the_list(tmp_path: Path) -> None:
    folder = write_run(tmp_path, "one", losses=(3.0,))
    catalogue = RunCatalogue((tmp_path,))
    assert len(catalogue.entries()) == 1
    (folder / "events.jsonl").unlink()
    assert catalogue.entries() == ()
