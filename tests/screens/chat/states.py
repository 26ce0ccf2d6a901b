"""States of the Chat station that are worth a picture. A conversation is put in place of one that a model had."""

from pathlib import Path

from tests.screens.chat.test_talk import answered, asked
from tests.screens.runs.material import finished, write_run
from tests.screens.world import make_app
from tui_tuner.hosting.chat.messages import ChatReady
from tui_tuner.screens.app import TunerApp
from tui_tuner.screens.chat.screen import ChatScreen
from tui_tuner.screens.chat.status import LoadState
from tui_tuner.screens.chat.talk import Conversation
from tui_tuner.screens.sources.results import Result

KEYS = ("7",)
READY = ChatReady(base_model="Qwen/Qwen3-8B", has_adapter=True, device="cuda", template="the model's own", seconds=9)


def empty(folder: Path) -> TunerApp:
    """No run has an adapter."""
    return make_app(folder)


def suggested(folder: Path) -> TunerApp:
    """A finished run is offered."""
    run = write_run(folder / "runs", "support-v4", end=finished())
    (run / "adapter").mkdir()
    return make_app(folder)


def show_talk(app: TunerApp, *, is_blind: bool = False) -> None:
    """On the Chat station: a loaded model and one answered question."""
    assert isinstance(app.screen, ChatScreen)
    desk = app.screen.desk
    desk.load = LoadState(result=Result(title="support-v4", path=Path("support-v4")), ready=READY, is_listed=True)
    desk.is_blind = is_blind
    desk.talk = answered(Conversation().asked(asked(is_blind=is_blind, is_swapped=is_blind)))
    app.screen._show()
