import math
from dataclasses import replace

from tests.plans import step_finished
from tui_tuner.events import CheckpointSaved, EvalFinished, RunFailed, RunState, TrainEvent
from tui_tuner.hosting.notes import ExitStatus
from tui_tuner.hosting.run_view import Attachment, RunView
from tui_tuner.screens.train.reading import read_curves, read_run


def _state(*events: TrainEvent) -> RunState:
    return RunState().after_all(events)


def _eval(step: int, loss: float) -> EvalFinished:
    return EvalFinished(step=step, loss=loss, rows=10, trained_tokens=100)


def _steps(losses: list[float], **changes: float) -> list[TrainEvent]:
    steps = [step_finished(number, loss=loss) for number, loss in enumerate(losses, start=1)]
    return [step.model_copy(update=changes) for step in steps]


def test_held_out_loss_above_its_best_is_called_learning_by_heart() -> None:
    reading = read_curves(_state(*_steps([2.0] * 20), _eval(0, 3.0), _eval(10, 1.0), _eval(20, 1.2)))
    assert reading.mood == "look" and "20 % above its best (1.000 at step 10)" in reading.text


def test_a_gradient_of_exactly_zero_is_bad() -> None:
    reading = read_curves(_state(*_steps([2.0] * 10, grad_norm=0.0, learning_rate=1e-4)))
    assert reading.mood == "bad" and "nothing is being learned" in reading.text


def test_a_loss_that_starts_like_noise_points_to_the_template() -> None:
    reading = read_curves(_state(*_steps([11.2, 11.0])))
    assert reading.mood == "look" and "template" in reading.action


def test_no_gain_over_the_base_after_a_while_is_said() -> None:
    reading = read_curves(_state(_eval(0, 1.5), *_steps([1.6] * 30), _eval(30, 1.5)))
    assert "not below the base's (1.500)" in reading.text


def test_wild_gradients_advise_a_lower_rate() -> None:
    reading = read_curves(_state(*_steps([2.0] * 20, grad_norm=500.0)))
    assert "halves the rate" in reading.action


def test_a_falling_held_out_loss_is_good() -> None:
    reading = read_curves(_state(_eval(0, 3.0), *_steps([2.0] * 10), _eval(10, 2.0)))
    assert reading.mood == "good" and "3.000 to 2.000" in reading.text


def test_the_look_at_the_base_is_not_held_against_what_was_learned_since() -> None:
    reading = read_curves(_state(_eval(0, 11.5), *_steps([6.0 - 0.1 * step for step in range(40)], epoch=3.3)))
    assert reading.mood == "good" and "falling" in reading.text


def test_learning_by_heart_compares_both_losses_of_the_same_step() -> None:
    steps = _steps([2.0] * 20 + [0.2] * 5, epoch=3.0)
    early = _state(_eval(0, 3.0), *steps[:20], _eval(20, 2.1), *steps[20:])
    assert "far below" not in read_curves(early).text
    late = _state(_eval(0, 3.0), *_steps([0.4] * 20, epoch=3.0), _eval(20, 2.1))
    assert "Training loss (0.40) is far below held-out loss (2.10) at step 20" in read_curves(late).text


def test_a_high_start_is_not_complained_of_once_the_loss_has_come_down() -> None:
    assert read_curves(_state(*_steps([11.2 - step for step in range(9)]))).mood == "good"


def test_a_run_that_died_says_how_and_how_much_is_done_again() -> None:
    saved = CheckpointSaved(step=5, path="checkpoint-5", loss=None, is_best=False)
    state = _state(*_steps([2.0] * 5), saved, *_steps([2.0] * 9)[5:])
    killed = ExitStatus(signal="SIGKILL", time=0.0)
    view = RunView(run_id="r", state=state, is_alive=False, exit=killed, attachment=Attachment(attached_at=0.0))
    reading = read_run(view)
    assert reading.mood == "bad" and reading.text.startswith("It died at step 9: killed by SIGKILL")
    assert reading.action == "r goes on from the checkpoint at step 5; 4 steps are done again."


def test_a_failure_is_shown_with_what_to_do() -> None:
    failed = RunFailed(error="TrainingError", message="Step 3: loss is nan.", hint="Lower the rate.")
    reading = read_curves(_state(*_steps([2.0, math.nan]), failed))
    assert (reading.mood, reading.text, reading.action) == ("bad", "Step 3: loss is nan.", "Lower the rate.")


def test_nothing_is_said_before_there_is_something_to_read() -> None:
    assert read_curves(replace(RunState())).mood == "wait"
