import pytest

from tests.screens.inks import INKS
from tests.screens.world import CHECKS as WORLD_CHECKS
from tui_tuner.diagnosis.check import Check
from tui_tuner.screens.doctor.report import advice, all_advice, check_line, report_text, verdict
from tui_tuner.screens.doctor.why import check_help, why
from tui_tuner.screens.look.glyphs import ASCII, BRAILLE

CHECKS = (
    Check("torch", "ok", "2.13.0", group="packages"),
    Check("GPU 0 held", "warning", "60 GiB by ann\x1b[2J, process 4471", "Ask them.", "GPU"),
    Check("CUDA", "fail", "the driver is too old", "Update it.", "packages"),
)


def test_each_state_has_its_own_sign_without_colour() -> None:
    lines = [check_line(one, 80, ASCII, INKS, is_first_of_group=True).plain for one in CHECKS]
    assert [line[10] for line in lines] == ["v", "!", "x"] and all(len(line) <= 80 for line in lines)


def test_the_advice_holds_finding_and_fix_made_safe() -> None:
    text = advice(CHECKS[1], BRAILLE, INKS).plain
    assert "Ask them." in text and "\x1b" not in text


def test_the_report_has_a_line_for_each_check_and_for_each_fix() -> None:
    assert len(report_text(CHECKS).splitlines()) == 5


def test_the_verdict_counts_what_must_be_mended_first() -> None:
    assert verdict(CHECKS, is_done=True).startswith("1 must be mended before a run can start  ·  1 to look at")
    assert verdict(CHECKS[:1], is_done=False).startswith("looking…")


def test_all_that_is_to_do_has_what_keeps_runs_from_starting_first() -> None:
    lines = all_advice(CHECKS, BRAILLE, INKS).plain.splitlines()
    assert [line[2:].split("  ")[0] for line in lines[::2]] == ["CUDA", "GPU 0 held"]
    assert "Update it." in lines[1] and all_advice(CHECKS[:1], BRAILLE, INKS).plain == "Nothing."


def test_the_help_is_about_the_check_under_the_cursor_and_says_why_it_matters() -> None:
    words = check_help(CHECKS[1], "What doctor is.")
    assert words.startswith("## GPU 0 held") and "the plan counts on what is free now" in words
    assert "\x1b" not in words and words.endswith("What doctor is.") and check_help(None, "x") == "x"


@pytest.mark.parametrize("check", WORLD_CHECKS, ids=lambda one: one.name)
def test_every_check_says_why_it_matters(check: Check) -> None:
    assert len(why(check)) > 20
