import pytest

from tests.screens.export.scripted import FAILED, FINISHED, MERGED, PLANNED, PROOF, WRITING, state_after
from tests.screens.inks import INKS
from tui_tuner.exports import ExportEvent, export_form
from tui_tuner.screens.export.kind_lines import detail, kind_line
from tui_tuner.screens.look.glyphs import ASCII, BRAILLE


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ((PLANNED,), "planned"),
        ((PLANNED, WRITING), "● writing 40%"),
        ((PLANNED, WRITING, PROOF, FINISHED), "✓ written"),
        ((PLANNED, FAILED), "✗ failed"),
    ],
)
def test_a_kind_says_its_size_and_how_it_stands(events: tuple[ExportEvent, ...], words: str) -> None:
    line = kind_line(export_form(MERGED), state_after(*events), 76, BRAILLE, INKS, is_chosen=True)
    assert line.plain.rstrip().endswith(words) and "16.4 GB" in line.plain and line.cell_len <= 76


def test_what_was_written_comes_with_proof_and_commands() -> None:
    state = state_after(PLANNED, WRITING, PROOF, FINISHED)
    text = detail(export_form(MERGED), state, FINISHED.commands, 60, BRAILLE, INKS).plain
    assert "KL 1.2e-06" in text and "vllm serve" in text and "291 tensors" not in text


def test_a_plan_lists_the_files_and_the_room() -> None:
    text = detail(export_form(MERGED), state_after(PLANNED), (), 60, ASCII, INKS).plain
    assert "needs 16.4 GB of 412 GB free" in text and "model-00001.safetensors" in text


def test_a_failure_says_what_to_do() -> None:
    text = detail(export_form(MERGED), state_after(PLANNED, FAILED), (), 60, BRAILLE, INKS).plain
    assert text.startswith("✗ The disk is full.") and "→ Free some space." in text
