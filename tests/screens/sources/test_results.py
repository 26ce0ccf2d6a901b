from pathlib import Path

from tests.screens.runs.material import finished, write_run
from tui_tuner.screens.runs.catalogue import RunCatalogue
from tui_tuner.screens.sources.results import list_results, path_problem, result_at


def with_adapter(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text("{}")
    return folder


def test_a_run_with_an_adapter_comes_before_its_checkpoints_newest_first(tmp_path: Path) -> None:
    run = write_run(tmp_path, "one", end=finished())
    with_adapter(run / "adapter")
    for step in (10, 20):
        with_adapter(run / "checkpoints" / f"step-{step:06d}")
    results = list_results(RunCatalogue((tmp_path,)).entries())
    assert [one.title for one in results] == ["one", "one · step 20", "one · step 10"]
    assert results[0].path == run and results[0].best_loss is not None


def test_a_run_without_any_result_is_not_listed(tmp_path: Path) -> None:
    write_run(tmp_path, "early")
    assert list_results(RunCatalogue((tmp_path,)).entries()) == ()


def test_a_path_is_judged_before_it_is_taken(tmp_path: Path) -> None:
    assert "no such folder" in path_problem(str(tmp_path / "nowhere"))
    assert "neither" in path_problem(str(tmp_path))
    assert path_problem(str(with_adapter(tmp_path / "adapter"))) == ""
    assert path_problem("Qwen/Qwen3-0.6B") == ""


def test_a_name_of_the_hub_stays_as_it_was_typed() -> None:
    assert str(result_at("Qwen/Qwen3-0.6B").path) == "Qwen/Qwen3-0.6B"
