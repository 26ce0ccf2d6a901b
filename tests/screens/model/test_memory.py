from pathlib import Path

from tests.screens.hollow_models import LLAMA_8B, hollow_model
from tests.screens.inks import INKS
from tests.screens.world import GPU_BOX, LAPTOP
from tui_tuner.hardware import Hardware
from tui_tuner.plan import NameDecision
from tui_tuner.planning.model_facts import read_base_model
from tui_tuner.planning.model_source import locate_model
from tui_tuner.recipe import ModelSection
from tui_tuner.screens.draft import Draft
from tui_tuner.screens.look.glyphs import ASCII, BRAILLE
from tui_tuner.screens.model.memory import choice_lines, memory_choices
from tui_tuner.screens.model.row_lengths import length_choices, length_lines
from tui_tuner.screens.outlook import Facts, ModelAnswer, look_ahead


def _facts(folder: Path, hardware: Hardware) -> tuple[Draft, Facts]:
    section = ModelSection(source=str(hollow_model(folder, LLAMA_8B)))
    base = read_base_model(locate_model(section), section)
    name = NameDecision(typed=section.source, loads=section.source, reason="")
    return Draft({"model": {"source": section.source}}), Facts(
        hardware=hardware, model=ModelAnswer(base=base, name=name)
    )


def test_four_bits_take_less_and_all_weights_take_more(tmp_path: Path) -> None:
    plain, four_bit, full = memory_choices(look_ahead(*_facts(tmp_path, GPU_BOX)))
    assert plain.memory and four_bit.memory and full.memory
    assert four_bit.memory.weights < plain.memory.weights / 2 < full.memory.weights


def test_the_way_that_is_planned_is_marked(tmp_path: Path) -> None:
    draft, facts = _facts(tmp_path, GPU_BOX)
    assert [one.way for one in memory_choices(look_ahead(draft, facts)) if one.is_planned] == ["none"]
    draft = draft.with_value("nf4", "model", "quantization")
    assert [one.way for one in memory_choices(look_ahead(draft, facts)) if one.is_planned] == ["nf4"]


def test_lines_fit_the_width_in_every_set_of_glyphs(tmp_path: Path) -> None:
    choices = memory_choices(look_ahead(*_facts(tmp_path, LAPTOP)))
    for glyphs in (BRAILLE, ASCII):
        text = choice_lines(choices, 72, glyphs, INKS)
        assert max(line.cell_len for line in text.split("\n")) <= 74
        assert "over" in text.plain


def test_ascii_lines_hold_nothing_else(tmp_path: Path) -> None:
    assert choice_lines(memory_choices(look_ahead(*_facts(tmp_path, LAPTOP))), 72, ASCII, INKS).plain.isascii()


def test_a_longer_row_takes_more_and_the_last_is_the_models_context(tmp_path: Path) -> None:
    choices = list(length_choices(look_ahead(*_facts(tmp_path, GPU_BOX))))
    sizes = [one.memory.total for one in choices if one.memory is not None]
    assert [one.length for one in choices] == [512, 2048, 8192, 32768, 131072] and choices[-1].is_context
    assert len(sizes) == 5 and sizes == sorted(sizes) and sizes[0] < sizes[-1]


def test_a_row_that_is_too_long_says_by_how_much(tmp_path: Path) -> None:
    choices = list(length_choices(look_ahead(*_facts(tmp_path, LAPTOP))))
    text = length_lines(choices, 72, ASCII, INKS)
    assert text.plain.isascii() and "over" in text.plain
    assert max(line.cell_len for line in text.split("\n")) <= 74
