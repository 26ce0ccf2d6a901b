from tests.screens.inks import INKS
from tui_tuner.diagnosis.check import Check
from tui_tuner.screens.doctor.report import advice, check_line, report_text, verdict
from tui_tuner.screens.glyphs import ASCII, BRAILLE

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
