"""What is drawn is complete, fits its width, and shows text from outside as text."""

import dataclasses
from pathlib import Path

import pytest

from tests.cli.terminal import drawn
from tests.plans import data_facts, llama_plan, memory, proof, scripted_events, step_finished
from tui_tuner.cli.views.check_list import check_list_view
from tui_tuner.cli.views.curve import curve_text, sparkline, thinned
from tui_tuner.cli.views.labels import labels_block
from tui_tuner.cli.views.memory import memory_block
from tui_tuner.cli.views.plan import data_block, plan_view
from tui_tuner.cli.views.result import proof_block, samples_block
from tui_tuner.cli.views.run import run_view
from tui_tuner.cli.views.run_list import run_list_view
from tui_tuner.diagnosis.check import Check
from tui_tuner.events import RunState, SampleGenerated
from tui_tuner.journal import RunSummary
from tui_tuner.plan import TrainedModule

SUMMARY = RunSummary(id="20260801-llama", folder="runs/20260801-llama", state="completed", started=1.0, updated=99.0)


def whole_run() -> RunState:
    state = RunState()
    for event in scripted_events():
        state = state.after(event)
    return state


@pytest.mark.parametrize("width", [60, 80, 120])
def test_plan_and_run_fit_their_width(width: int) -> None:
    for view in (plan_view(llama_plan(warnings=("x " * 90,))), run_view(SUMMARY, whole_run())):
        assert max(len(line) for line in drawn(view, width).splitlines()) <= width


def test_the_plan_shows_counts_exactly_and_each_reason() -> None:
    plan = llama_plan()
    text = " ".join(drawn(plan_view(plan), 120).split())
    assert "41,943,040 of 8,072,204,288 trained · 0.5196 %" in text
    assert "down_proj 14,336 → 4,096 32 9,437,184 22.5 %" in text
    assert all(decision.reason in text for decision in plan.decisions)


def test_a_swapped_name_is_marked_with_what_was_typed_and_why() -> None:
    lines = [line.strip() for line in drawn(plan_view(llama_plan()), 120).splitlines()]
    assert "typed        meta-llama/Llama-3.1-8B-Instruct" in lines
    assert "loads        ! unsloth/Meta-Llama-3.1-8B-Instruct-bnb-4bit" in lines


def test_modules_trained_in_full_are_counted_and_tied_ones_once() -> None:
    head = TrainedModule(path="lm_head", group="head", num_parameters=525_336_576)
    tied = TrainedModule(path="model.embed_tokens", group="embedding", num_parameters=525_336_576, is_tied=True)
    text = " ".join(drawn(plan_view(llama_plan(saved=(head, tied))), 120).split())
    assert "lm_head in full 1 525,336,576 92.6 %" in text
    assert "embed_tokens tied to the other 1 0 0.0 %" in text


def test_memory_says_whether_it_fits() -> None:
    assert "✓ fits" in drawn(memory_block(memory(), "cuda"))
    assert "✗ does not fit" in drawn(memory_block(memory(available=2**33), "cuda"))
    assert "could not be read" in drawn(memory_block(memory(available=None), "cpu"))


def test_rows_that_are_left_out_are_shown() -> None:
    assert "! 31 rows cut at the max length · 2 rows dropped" in drawn(data_block(data_facts(is_exact=True)))


def test_show_ends_with_the_proof_and_the_next_commands() -> None:
    text = drawn(run_view(SUMMARY, whole_run()))
    order = ["Run ", "Model ", "Loss ", "Saved ", "Samples ", "Held out ", "Proof ", "Result ", "tuner chat runs/"]
    assert [text.index(title) for title in order] == sorted(text.index(title) for title in order)


def test_a_run_without_any_step_can_be_shown() -> None:
    events = list(scripted_events())
    assert "fewer than two steps so far" in drawn(run_view(SUMMARY, RunState().after(events[0])))


def test_samples_stand_side_by_side_and_say_when_they_did_not_stop() -> None:
    first = SampleGenerated(step=0, index=0, prompt="Hi?", text="and and and", expected="Hello.", stopped=False)
    last = SampleGenerated(step=9, index=0, prompt="Hi?", text="Hello.", expected="Hello.", stopped=True)
    text = drawn(samples_block([first, last]))
    assert "and and and … (did not stop by" in text
    assert "✓ expected  Hello." in text


def test_a_failed_proof_is_not_green() -> None:
    assert "✗ saved and live differ" in drawn(proof_block(proof(passed=False)))


def test_hostile_text_is_shown_as_text() -> None:
    hostile = "[red]x[/] [INST] \x1b[2J\x1b]0;t\x07 \u202e:smile:"
    sample = SampleGenerated(step=1, index=0, prompt=hostile, text=hostile, expected=hostile, stopped=True)
    text = drawn(samples_block([sample]), 120)
    assert "\x1b" not in text
    assert text.count("[red]x[/] [INST] ␛[2J␛]0;t␇ ⟨202E⟩:smile:") == 3


def test_the_curve_shows_both_losses() -> None:
    text = curve_text(whole_run(), 70).plain
    assert text.count("●") == 5
    assert any("\u2801" <= char <= "\u28ff" for char in text)
    assert max(len(line) for line in text.splitlines()) <= 70


def test_a_curve_leaves_out_what_is_no_number() -> None:
    state = RunState()
    for step, loss in enumerate((2.0, float("nan"), 1.0, float("inf"))):
        state = state.after(step_finished(step, loss=loss))
    assert curve_text(state, 60).plain


def test_thinning_keeps_every_spike() -> None:
    points = [(step, 9.0 if step == 4567 else 1.0) for step in range(10_000)]
    thin = thinned(points, 100)
    assert len(thin) <= 200
    assert (4567, 9.0) in thin


@pytest.mark.parametrize(
    ("values", "text"),
    [((), ""), ((1.0,), "▁"), ((3.0, 2.0, 1.0), "█▅▁"), ((2.0, float("nan")), "▁×"), ((float("nan"),), "×")],
)
def test_sparklines(values: tuple[float, ...], text: str) -> None:
    assert sparkline(values) == text


def test_the_list_of_runs_fits_a_narrow_terminal() -> None:
    long = dataclasses.replace(
        SUMMARY, id="20260801-120000-" + "x" * 60, state="interrupted", step=99_999, total_steps=100_000
    )
    for width in (80, 120):
        assert max(len(line) for line in drawn(run_list_view([long], Path("runs"), width), width).splitlines()) <= width


def test_labels_mark_trained_tokens_in_the_gutter() -> None:
    pieces = [("<|user|>\nWhere?\n<|assistant|>\n", False), ("Here.\x1b<|end|>", True)]
    assert drawn(labels_block("train.jsonl:17", pieces, 10, 4)).splitlines()[1:-1] == [
        "  · <|user|>⏎", "  · Where?⏎", "  · <|assistant|>⏎", "  ▌ Here.␛<|end|>",
    ]  # fmt: skip


def test_doctor_puts_the_fix_under_the_finding() -> None:
    text = drawn(check_list_view([Check("GPU", "fail", "none", "Install the driver."), Check("disk", "ok", "2 TB")]))
    assert "✗  GPU   none\n         → Install the driver." in text
    assert "1 must be mended" in text
