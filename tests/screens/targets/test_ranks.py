from pathlib import Path

from tests.screens.inks import INKS
from tests.screens.recipe.test_form_rows import outlook_of
from tui_tuner.screens.draft import Draft
from tui_tuner.screens.look.glyphs import ASCII
from tui_tuner.screens.targets.ranks import rank_choices, rank_lines


def test_the_ranks_round_the_present_one_are_planned_and_it_is_marked(tmp_path: Path) -> None:
    choices = list(rank_choices(outlook_of(tmp_path, Draft())))
    assert [one.adapter.rank for one in choices] == [2, 4, 8, 16, 32, 64, 128]
    assert [one.adapter.rank for one in choices if one.is_present] == [16]
    assert choices[4].adapter.num_trainable == 2 * choices[3].adapter.num_trainable


def test_a_rank_of_ones_own_has_its_line_too(tmp_path: Path) -> None:
    choices = list(rank_choices(outlook_of(tmp_path, Draft({"adapter": {"rank": 24}}))))
    assert [one.adapter.rank for one in choices] == [4, 8, 16, 24, 32, 64, 128]


def test_where_every_weight_is_trained_there_are_no_ranks(tmp_path: Path) -> None:
    assert not list(rank_choices(outlook_of(tmp_path, Draft({"adapter": {"method": "full"}}))))


def test_the_lines_fit_their_panel_in_ascii(tmp_path: Path) -> None:
    text = rank_lines(list(rank_choices(outlook_of(tmp_path, Draft()))), ASCII, INKS)
    assert text.plain.isascii() and max(line.cell_len for line in text.split("\n")) <= 37
