from pathlib import Path

from tests.screens.runs.material import failed, finished, write_run
from tui_tuner.recipe import parse_recipe
from tui_tuner.screens.look.glyphs import ASCII, BRAILLE
from tui_tuner.screens.look.inks import inks_of
from tui_tuner.screens.look.themes import DARK
from tui_tuner.screens.runs.catalogue import RunCatalogue, RunEntry
from tui_tuner.screens.runs.differences import recipe_differences
from tui_tuner.screens.runs.help_words import help_words
from tui_tuner.screens.runs.rows import problem_line, run_line

INKS = inks_of({**DARK.to_color_system().generate(), **DARK.variables})
RECIPE = '[model]\nsource = "m"\n[[data.sources]]\npath = "a.jsonl"\n'


def _entry(folder: Path) -> RunEntry:
    return RunCatalogue((folder,)).entries()[0]


def test_a_line_is_exactly_as_wide_as_its_panel(tmp_path: Path) -> None:
    write_run(tmp_path, "a-run-with-a-name-that-is-far-too-long-for-any-list", end=finished())
    assert {run_line(_entry(tmp_path), width, BRAILLE, INKS, 0).cell_len for width in (74, 76, 116)} == {74, 76, 116}


def test_of_a_name_that_begins_with_the_day_the_end_is_seen(tmp_path: Path) -> None:
    write_run(tmp_path, "20261121-090947-starter", end=finished())
    line = run_line(_entry(tmp_path), 68, ASCII, INKS, 0)
    assert "947-starter " in line.plain and line.cell_len == 68


def test_each_state_has_its_own_sign_in_ascii_too(tmp_path: Path) -> None:
    write_run(tmp_path, "good", end=finished())
    write_run(tmp_path, "bad", end=failed())
    write_run(tmp_path, "lost")
    lines = [run_line(one, 76, ASCII, INKS, 0).plain for one in RunCatalogue((tmp_path,)).entries()]
    assert {line[1] for line in lines} == {"v", "x", "!"}


def test_a_run_that_died_says_so_and_names_the_key_that_resumes_it(tmp_path: Path) -> None:
    write_run(tmp_path, "lost")
    assert problem_line(_entry(tmp_path)) == "lost died without a word at step 2; r resumes from the start"


def test_only_the_fields_in_which_recipes_differ_are_shown() -> None:
    one, two = parse_recipe(RECIPE), parse_recipe(RECIPE + "[adapter]\nrank = 32\n")
    assert [(d.path, d.values) for d in recipe_differences((one, two))] == [("adapter.rank", ("16", "32"))]


def test_the_help_has_the_figures_of_the_run_under_the_cursor(tmp_path: Path) -> None:
    write_run(tmp_path, "a_[b]", (2.0, 1.5), finished())
    words = help_words(RunCatalogue((tmp_path,)).entries()[0])
    assert (
        "a\\_\\[b\\]" in words and "is completed, at step 2 of 2" in words and "best held-out loss is 1.5000" in words
    )
