from tests.plans import NOON, llama_plan, proof, scripted_events, step_finished
from tui_tuner.events import AdapterAudited, AuditedGroup, RunStarted, RunState, WeightsChecked
from tui_tuner.plan import SpeedEstimate
from tui_tuner.screens.train.help_words import gauges_help, journal_help, loss_help
from tui_tuner.screens.train.journal_lines import journal_lines
from tui_tuner.screens.train.meters import Gauges
from tui_tuner.screens.train.reading import read_curves

AUDIT = AdapterAudited(
    time=NOON,
    folder="runs/first_[try]/adapter",
    groups=(AuditedGroup(name="lora", expected=2000, trainable=2000, learning_rates=(2e-4,)),),
    loss_before=2.5,
    loss_after=1.25,
    rows="12 held-out rows",
)
WEIGHTS = WeightsChecked(time=NOON + 9, step=10, num_trained=14, num_frozen=75)
STUCK = WEIGHTS.model_copy(update={"unmoved": ("layers.0.q_proj.lora_A",)})


def test_the_audit_of_a_continued_run_is_in_the_journal_and_in_full_in_its_help() -> None:
    state = RunState().after(AUDIT)
    (line,) = journal_lines(state)
    assert (line.tone, line.head) == ("good", "continued")
    assert line.text == "all 2,000 parameters train again; loss 2.5000 without, 1.2500 with it"
    assert "| lora | 2,000 | 2,000 | 2e-4 |" in journal_help(state) and "first\\_\\[try\\]" in journal_help(state)


def test_an_adapter_that_does_not_fit_is_the_first_thing_that_is_said() -> None:
    state = RunState().after(AUDIT.model_copy(update={"problem": "embed_tokens is missing."}))
    assert read_curves(state).mood == "bad" and "embed_tokens is missing" in read_curves(state).text
    assert journal_lines(state)[0].tone == "bad"


def test_which_weights_have_moved_is_in_the_journal() -> None:
    (line,) = journal_lines(RunState().after(WEIGHTS))
    assert (line.tone, line.text) == ("good", "all 14 trained tensors moved, none of 75 frozen")


def test_a_trained_tensor_that_stands_still_is_named() -> None:
    state = RunState().after(STUCK)
    assert "1 trained tensors did not move by step 10" in read_curves(state).text
    assert journal_lines(state)[0].tone == "bad" and "lora\\_A" in journal_help(state)


def test_the_help_of_the_chart_speaks_of_this_run() -> None:
    words = loss_help(RunState().after_all(tuple(scripted_events())))
    assert "Step **40**" in words and "the base model had 2.3140" in words


def test_the_help_of_the_gauges_says_what_the_plan_expected_and_why() -> None:
    speed = SpeedEstimate(
        tokens_per_second=20_000, seconds=60, source="computed", reason="32 GFLOP a token at *some* share"
    )
    plan = llama_plan().model_copy(update={"speed": speed})
    state = RunState().after_all((RunStarted(run_id="r", folder="f", plan=plan), step_finished(1)))
    words = gauges_help(Gauges(state=state, gpu=None, process_bytes=None))
    assert "The plan expected 20,000: 32 GFLOP a token at \\*some\\* share" in words
    assert "weights 5.31 GiB" in words


def test_the_help_of_the_journal_has_the_figures_of_the_proof() -> None:
    assert "largest difference of 16 log-probabilities is 3.1e-06" in journal_help(RunState().after(proof()))
