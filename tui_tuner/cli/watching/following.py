"""One run from its first event to its exit code, drawn in one of three forms: a terminal, plain lines, JSON."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, cast

from tui_tuner.cli.failures import note, report_bug
from tui_tuner.cli.signals import ABORTING, Interruption, stop_on_signals
from tui_tuner.cli.watching.forms import RunForm, open_form
from tui_tuner.controls import Controls
from tui_tuner.errors import EXIT_BUG, EXIT_INTERRUPTED, TunerError
from tui_tuner.events import Outcome, RunState, TrainEvent
from tui_tuner.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Generator

EXIT_HUNG_UP = 129


def follow(recipe: Recipe, *, as_json: bool) -> int:
    """Run a recipe to its end and show it; returns the exit code.

    Raises:
        TunerError: the run could not start or stopped itself; it is in the journal by then.
    """
    controls = Controls()
    with open_form(as_json=as_json) as form, stop_on_signals(controls, form.notice) as interruption:
        return follow_events(_events(recipe, controls), controls, form, interruption)


def follow_resumed(folder: Path, *, accept: bool, as_json: bool) -> int:
    """Go on with a run and show it; returns the exit code.

    Raises:
        TunerError: the run cannot go on, is not what it was, or stopped itself.
    """
    from tui_tuner.journal import read_state

    controls = Controls()
    before = read_state(folder)
    with open_form(as_json=as_json) as form, stop_on_signals(controls, form.notice) as interruption:
        return follow_events(_rest(folder, controls, accept), controls, form, interruption, before)


def follow_events(
    events: Iterator[TrainEvent],
    controls: Controls,
    form: RunForm,
    interruption: Interruption,
    before: RunState | None = None,
) -> int:
    """Fold and draw events until they end, and say how they ended. `before` is the sum of earlier ones."""
    state = before or RunState()
    # A generator, so that leaving early ends the run inside it, where it can note that in its journal.
    with closing(cast("Generator[TrainEvent]", events)):
        try:
            for event in events:
                state = state.after(event)
                _draw(form, state, event, controls, interruption)
        except KeyboardInterrupt:
            note(ABORTING)
            _say_how_to_go_on(state)
            return interruption.exit_code or EXIT_INTERRUPTED
        except TunerError:
            if state.failed is not None and (before is None or state.failed is not before.failed):
                _say_how_to_go_on(state)
            raise
        except Exception as error:
            if state.failed is None:
                raise
            report_bug(error, log=f"{state.folder}/log.txt")
            return EXIT_BUG
    if state.failed is not None or (state.finished is not None and state.finished.outcome is Outcome.STOPPED):
        _say_how_to_go_on(state)
    if controls.is_aborting and not interruption.exit_code:
        return EXIT_INTERRUPTED
    return interruption.exit_code


def _say_how_to_go_on(state: RunState) -> None:
    """On standard error, so that it is seen in a scheduler's log as well."""
    if state.checkpoints:
        note(f"Saved at step {state.checkpoints[-1].step}. Go on with: tuner resume {state.folder}")


def _draw(form: RunForm, state: RunState, event: TrainEvent, controls: Controls, interruption: Interruption) -> None:
    """A terminal or a pipe that went away is a hang-up: the run saves and ends, it does not crash."""
    try:
        form.show(state, event)
    except OSError:
        if not interruption.exit_code:
            interruption.exit_code = EXIT_HUNG_UP
            controls.stop()


def _events(recipe: Recipe, controls: Controls) -> Iterator[TrainEvent]:
    from tui_tuner.engine.run import run
    from tui_tuner.hosting.visiting import with_mailbox

    yield from with_mailbox(run(recipe, controls), controls)


def _rest(folder: Path, controls: Controls, accept: bool) -> Iterator[TrainEvent]:
    from tui_tuner.engine.resume import resume
    from tui_tuner.hosting.visiting import with_mailbox

    yield from with_mailbox(resume(folder, controls, accept=accept), controls)
