"""A bench of a recipe: the steps that a run takes, measured, and nothing left behind."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.tiny_runs import recipe_in, train
from tui_tuner.engine.bench import limit
from tui_tuner.engine.bench.recipe_bench import bench
from tui_tuner.engine.bench.report import BenchReport
from tui_tuner.engine.bench.request import BenchRequest
from tui_tuner.errors import RecipeError
from tui_tuner.recipe import recipe_to_toml


@pytest.fixture(scope="module", autouse=True)
def brief() -> Iterator[None]:
    """The machine's limit to the first digit is enough here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limit, "SECONDS_EACH", 0.0)
        yield


def measured(recipe: Path | None, *overrides: str, steps: int = 3) -> BenchReport:
    request = BenchRequest(
        recipe=recipe, shape=None, overrides=overrides, folder=None, warm_up=1, steps=steps, seconds_before=2.0
    )
    *_, report = bench(request)
    assert isinstance(report, BenchReport)
    return report


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bench")
    (folder / "recipe.toml").write_text(recipe_to_toml(recipe_in(folder, "training.max_steps=4")))
    return folder


@pytest.fixture(scope="module")
def report(folder: Path) -> Iterator[BenchReport]:
    before = set(folder.iterdir())
    yield measured(folder / "recipe.toml")
    assert set(folder.iterdir()) == before, "a bench leaves no run behind"


def test_its_first_loss_is_that_of_a_run(folder: Path, report: BenchReport, tmp_path: Path) -> None:
    run = train(tmp_path, "training.max_steps=1", model=folder / "model")
    assert report.first_loss == run.losses[0]


def test_steps_are_timed_after_the_warm_up(report: BenchReport) -> None:
    assert len(report.seconds) == len(report.tokens) == len(report.padded_tokens) == 3
    assert report.fastest_milliseconds <= report.milliseconds <= report.slowest_milliseconds


def test_padding_is_counted_apart(report: BenchReport) -> None:
    assert all(0 < real <= padded for real, padded in zip(report.tokens, report.padded_tokens, strict=True))
    assert report.padded_tokens_per_second >= report.tokens_per_second > 0


def test_the_way_to_the_first_step_has_parts(report: BenchReport) -> None:
    parts = report.import_seconds + report.plan_seconds + report.load_seconds
    assert report.import_seconds == 2.0
    assert report.first_step_seconds >= parts > 2.0


def test_the_plan_and_the_limit_stand_beside_it(report: BenchReport) -> None:
    assert report.estimated_bytes == report.plan.memory.total
    assert report.limit is not None and report.share_of_limit is not None
    assert report.share_of_limit == pytest.approx(report.tokens_per_second / report.limit.tokens_per_second)


def test_nothing_but_steps_is_in_the_plan(folder: Path) -> None:
    changes = ("training.epochs=2", "training.max_steps=1", "output.trackers=[]")
    with pytest.raises(RecipeError, match="keep one"):
        measured(folder / "recipe.toml", *changes)
    plan = measured(folder / "recipe.toml", "training.sample_prompts=['hi']", steps=1).plan
    assert plan.recipe.training.sample_prompts == ()
    assert plan.schedule.total_steps == 3


def test_a_random_model_of_a_shape_is_kept_where_that_is_asked_for(tmp_path: Path) -> None:
    request = BenchRequest(
        recipe=None,
        shape="tiny",
        overrides=("training.micro_batch_size=1", "data.max_length=40"),
        folder=tmp_path / "new",
        warm_up=1,
        steps=1,
    )
    *_, report = bench(request)
    assert isinstance(report, BenchReport)
    assert report.tokens == report.padded_tokens == (40 * report.plan.schedule.gradient_accumulation,)
    assert (tmp_path / "new" / "model-tiny-bfloat16" / "model.safetensors").exists()
