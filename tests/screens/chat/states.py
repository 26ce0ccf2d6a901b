"""States of the Chat station that are worth a picture. A conversation is put in place of one that a model had."""

from pathlib import Path

from tests.screens.chat.test_talk import ended, grew
from tests.screens.runs.material import finished, write_run
from tests.screens.world import make_app
from tui_tuner.hosting.chat.messages import ChatReady
from tui_tuner.screens.app import TunerApp
from tui_tuner.screens.chat.screen import ChatScreen
from tui_tuner.screens.chat.status import LoadState
from tui_tuner.screens.chat.talk import Answer, Conversation, Exchange
from tui_tuner.screens.sources.results import Result

KEYS = ("7",)
BASE = (
    "I'm sorry, but I don't have access to real-time order information. To check the status of order 4471, please "
    "visit the carrier's website or contact their customer service team with your tracking number."
)
TUNED = "Order 4471 left Leeds at 06:10 and is due today before 18:00. Shall I text you when it is two stops away?"
READY = ChatReady(base_model="Qwen/Qwen3-8B", has_adapter=True, device="cuda", template="the model's own", seconds=9)


def empty(folder: Path) -> TunerApp:
    """No run has an adapter."""
    return make_app(folder)


def suggested(folder: Path) -> TunerApp:
    """A finished run is offered."""
    run = write_run(folder / "runs", "support-v4", end=finished())
    (run / "adapter").mkdir()
    return make_app(folder)


def show_talk(app: TunerApp, *, is_blind: bool = False, is_answering: bool = False) -> None:
    """On the Chat station: a loaded model and one question, answered or half so."""
    assert isinstance(app.screen, ChatScreen)
    desk = app.screen.desk
    desk.load = LoadState(result=Result(title="support-v4", path=Path("support-v4")), ready=READY, is_listed=True)
    desk.is_blind = is_blind
    desk.talk = _talk(is_blind=is_blind, is_answering=is_answering)
    app.screen._show()


def show_answering(app: TunerApp) -> None:
    show_talk(app, is_answering=True)


def show_blind(app: TunerApp) -> None:
    show_talk(app, is_blind=True)


def show_lost(app: TunerApp) -> None:
    """The model's process could not be started, or ended."""
    assert isinstance(app.screen, ChatScreen)
    app.screen._tell_lost(
        "The model needs 16.4 GiB and 3.20 GiB of the GPU are free.", "Stop the run that holds it, or use a 4-bit base."
    )


def _talk(*, is_blind: bool, is_answering: bool) -> Conversation:
    exchange = Exchange(
        number=1, question="Where is order 4471?", seed=3, base=Answer(), tuned=Answer(), is_blind=is_blind,
        is_swapped=is_blind,
    )  # fmt: skip
    talk = Conversation().asked(exchange).after(grew(1, "base", BASE, 46)).after(ended(1, "base", 46, 0.31))
    if is_answering:
        return talk.after(grew(1, "tuned", TUNED[:76], 85))
    return talk.after(grew(1, "tuned", TUNED, 31)).after(ended(1, "tuned", 31, 0.18))
