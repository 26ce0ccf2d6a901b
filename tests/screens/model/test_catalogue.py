from pathlib import Path

from tests.screens.hollow_models import hollow_hub
from tui_tuner.planning.hub.search import HubModel
from tui_tuner.planning.local_models import local_models
from tui_tuner.screens.draft import Draft
from tui_tuner.screens.model.catalogue import entries, is_source, name_decision

FOUND = (
    HubModel(repo_id="Qwen/Qwen3-8B", downloads=1, is_gated=False),
    HubModel(repo_id="a/b", downloads=1, is_gated=True),
)


def test_words_in_any_order_narrow_the_list_down(tmp_path: Path) -> None:
    models = local_models(hollow_hub(tmp_path), [])
    assert [entry.name for entry in entries(models, (), "8b qwen")] == ["Qwen/Qwen3-8B"]


def test_what_is_here_is_not_listed_again_from_the_hub(tmp_path: Path) -> None:
    models = local_models(hollow_hub(tmp_path), [])
    assert [entry.source for entry in entries(models, FOUND, "qwen")] == ["Qwen/Qwen3-8B", "a/b"]


def test_a_text_that_can_name_a_model_is_offered_as_typed() -> None:
    (entry,) = entries((), (), "org/name")
    assert entry.is_typed and entry.source == "org/name"


def test_a_word_is_no_source_and_a_path_is(tmp_path: Path) -> None:
    assert not is_source("qwen") and is_source(str(tmp_path)) and is_source("org/name")


def test_a_model_that_is_chosen_and_nowhere_else_is_listed() -> None:
    assert [entry.source for entry in entries((), (), "", "org/private")] == ["org/private"]


def test_choosing_takes_the_revision_of_the_model_before_away() -> None:
    draft = Draft({"model": {"source": "org/a", "revision": "v1"}})
    (entry,) = entries((), (), "org/b")
    assert entry.chosen_in(draft).tables == {"model": {"source": "org/b"}}


def test_the_name_mapper_finds_the_twin_that_is_here_and_can_be_switched_off(tmp_path: Path) -> None:
    models = local_models(hollow_hub(tmp_path), [])
    (entry,) = entries((), (), "unsloth/Qwen3-8B")
    draft = Draft({"model": {"source": "unsloth/Qwen3-8B"}})
    swapped = name_decision(draft, entry, models)
    assert swapped is not None and swapped.loads == "Qwen/Qwen3-8B" and swapped.is_swapped
    kept = name_decision(draft.with_value("off", "model", "name_mapping"), entry, models)
    assert kept is not None and kept.loads == "unsloth/Qwen3-8B"
