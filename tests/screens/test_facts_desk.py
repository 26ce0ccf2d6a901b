import threading
from pathlib import Path

from tests.screens.hollow_models import hollow_hub
from tests.screens.world import environment
from tui_tuner.screens.draft import Draft
from tui_tuner.screens.facts_desk import FactsDesk
from tui_tuner.screens.outlook import Facts, look_ahead


class _Desk:
    """A desk whose answers can be waited for."""

    def __init__(self, folder: Path) -> None:
        self._arrived = threading.Event()
        self.desk = FactsDesk(environment(folder), self._arrived.set)

    def settled(self, draft: Draft) -> Facts:
        while True:
            self._arrived.clear()
            facts, is_reading_model, is_reading_data = self.desk.facts(draft)
            if not (is_reading_model or is_reading_data):
                return facts
            assert self._arrived.wait(10)


def _draft(source: str, **more: str) -> Draft:
    return Draft({"model": {"source": source, **more}})


def test_a_model_is_read_once_and_then_known(tmp_path: Path) -> None:
    hollow_hub(tmp_path / "hub")
    desk = _Desk(tmp_path)
    first = desk.settled(_draft("Qwen/Qwen3-8B"))
    assert first.model is not None and first.model.base is not None
    assert desk.desk.facts(_draft("Qwen/Qwen3-8B"))[1] is False


def test_the_answer_before_stands_while_a_setting_is_read_anew(tmp_path: Path) -> None:
    hollow_hub(tmp_path / "hub")
    desk = _Desk(tmp_path)
    before = desk.settled(_draft("Qwen/Qwen3-8B"))
    facts, is_reading, _ = desk.desk.facts(_draft("Qwen/Qwen3-8B", name_mapping="off"))
    assert is_reading and facts.model == before.model


def test_nothing_stands_for_another_model(tmp_path: Path) -> None:
    hollow_hub(tmp_path / "hub")
    desk = _Desk(tmp_path)
    desk.settled(_draft("Qwen/Qwen3-8B"))
    assert desk.desk.facts(_draft("HuggingFaceTB/SmolLM2-135M"))[0].model is None


def test_without_network_a_model_that_is_not_here_is_refused_politely(tmp_path: Path) -> None:
    facts = _Desk(tmp_path).settled(_draft("org/name"))
    assert facts.model is not None and facts.model.failure is not None
    assert "the hub cannot be reached" in facts.model.failure.message and facts.model.failure.hint


def test_looking_again_reads_what_changed(tmp_path: Path) -> None:
    desk = _Desk(tmp_path)
    assert (missing := desk.settled(_draft("Qwen/Qwen3-8B")).model) is not None and missing.base is None
    hollow_hub(tmp_path / "hub")
    desk.desk.look_again()
    found = desk.settled(_draft("Qwen/Qwen3-8B")).model
    assert found is not None and found.base is not None


def test_several_sources_are_planned_before_they_are_read(tmp_path: Path) -> None:
    hollow_hub(tmp_path / "hub")
    draft = _draft("Qwen/Qwen3-8B")
    facts = _Desk(tmp_path).settled(draft)
    several = draft.with_value([{"path": "a.jsonl"}, {"path": "b.jsonl"}], "data", "sources")
    assert look_ahead(several, facts).plan is not None
