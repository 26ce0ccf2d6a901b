from pathlib import Path

from tests.screens.export.scripted import FINISHED, MERGED, PLANNED, PROOF
from tui_tuner.exports import ExportState, export_form
from tui_tuner.screens.export.choices import Choices
from tui_tuner.screens.export.panels import about, kind_help, readout
from tui_tuner.screens.look.glyphs import BRAILLE
from tui_tuner.screens.sources.results import Result

CHOICES = Choices(result=Result(title="a_[b]", path=Path("/runs/a"), base_model="base"), kinds=frozenset({MERGED}))
WRITTEN = ExportState().after(PLANNED).after(PROOF).after(FINISHED)


def test_what_is_written_is_not_announced_any_more() -> None:
    line = readout(CHOICES, {MERGED: WRITTEN}, BRAILLE, is_planning=False, is_running=False).plain
    assert line.startswith("✓ written: 16.4 GB in 1 file") and "will write" not in line


def test_before_that_it_says_what_it_will_write() -> None:
    planned = {MERGED: ExportState().after(PLANNED)}
    assert readout(CHOICES, planned, BRAILLE, is_planning=False, is_running=False).plain.startswith("will write 16.4")


def test_the_help_has_the_sizes_of_this_adapter_and_the_proof_made_safe() -> None:
    words = kind_help(export_form(MERGED), WRITTEN, CHOICES)
    assert "16.4 GB in 1 file" in words and "a\\_\\[b\\]" in words and "**Proof**" in words


def test_beside_the_kind_stands_where_the_chosen_ones_go() -> None:
    text = about(export_form(MERGED), CHOICES, {MERGED: WRITTEN}, BRAILLE).plain
    assert f"→ {PLANNED.folder}" in text and "are free on that disk" in text
