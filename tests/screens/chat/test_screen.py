import asyncio
from pathlib import Path

from tests.screens.chat.states import KEYS, TUNED, empty, show_talk, suggested
from tests.screens.golden import screen_text
from tests.screens.settling import until
from tests.screens.world import make_app
from tests.tiny import write_tiny_model
from tui_tuner.hosting.chat.messages import ChatEvent
from tui_tuner.screens.chat.prompt_box import PromptBox
from tui_tuner.screens.chat.screen import ChatScreen
from tui_tuner.screens.sources.results import result_at


async def test_without_any_adapter_the_station_says_where_one_comes_from(tmp_path: Path) -> None:
    app = empty(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(*KEYS)
        await until(pilot, lambda: "No run has an adapter yet" in screen_text(app))
        await pilot.press("1")  # without a model no line of text swallows the keys
        await until(pilot, lambda: app.current_mode == "runs")


async def test_the_newest_result_is_offered_and_the_list_has_the_others(tmp_path: Path) -> None:
    app = suggested(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(*KEYS)
        await until(pilot, lambda: "talks to support-v4" in screen_text(app))
        await pilot.press("f4")
        await until(pilot, lambda: "or a path, or a model's name" in screen_text(app))


async def test_a_blind_vote_reveals_the_sides_and_is_kept(tmp_path: Path) -> None:
    app = empty(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(*KEYS)
        await pilot.pause()
        show_talk(app, is_blind=True)
        await until(pilot, lambda: "Which is better?" in screen_text(app))
        assert "support-v4" not in screen_text(app)
        await pilot.press("f5")
        await until(pilot, lambda: "You preferred tuned. A was tuned, B was base." in screen_text(app))
        assert (tmp_path / "state" / "votes.jsonl").read_text().count("\n") == 1


async def test_an_answer_is_copied_from_its_own_side(tmp_path: Path) -> None:
    app = empty(tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press(*KEYS)
        await pilot.pause()
        show_talk(app)
        app.screen.query_one(".transcript.-right").focus()
        await pilot.press("y")
        await until(pilot, lambda: (tmp_path / "state" / "clipboard.txt").exists())
        assert (tmp_path / "state" / "clipboard.txt").read_text() == TUNED


async def test_a_real_model_is_loaded_asked_and_unloaded(tmp_path: Path) -> None:
    model, app = write_tiny_model(tmp_path / "model"), make_app(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(*KEYS)
        screen = app.screen
        assert isinstance(screen, ChatScreen)
        screen.open_result(result_at(str(model)))
        await until(pilot, lambda: screen.desk.load.ready is not None, seconds=60)
        await pilot.press("h", "i", "enter")
        await until(pilot, lambda: screen.desk.talk.exchanges and not screen.desk.talk.is_answering, seconds=60)
        assert "tok/s" in screen_text(app) and screen.has_class("-one-sided")
        process = screen.desk.process
        assert process is not None
        await pilot.press("f8")
        await until(pilot, lambda: screen.desk.process is None)
        await asyncio.sleep(0.2)
        assert not Path(f"/proc/{process.process_id}/cwd").exists()


class HeldModel:
    """Stands for the process that has a model in memory."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def kill(self) -> None:
        self.calls.append("kill")

    def close(self) -> None:
        self.calls.append("close")

    def poll(self) -> list[ChatEvent]:
        return []


async def test_a_run_that_begins_gets_the_memory_of_the_chats_model(tmp_path: Path) -> None:
    app = empty(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(*KEYS)
        await pilot.pause()
        show_talk(app)
        chat, model = app.screen, HeldModel()
        assert isinstance(chat, ChatScreen)
        said = len(chat.desk.talk.exchanges)
        chat.desk.process = model  # type: ignore[assignment]
        app._begin(lambda: None, "")
        await until(pilot, lambda: model.calls == ["kill", "close"])
        assert chat.desk.load.ready is None and not chat.desk.can_ask
        assert len(chat.desk.talk.exchanges) == said
        assert any("let go" in one.message for one in app._notifications)


async def test_a_question_that_is_typed_while_the_model_is_loaded_is_asked_when_it_is_there(tmp_path: Path) -> None:
    model, app = write_tiny_model(tmp_path / "model"), make_app(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(*KEYS)
        screen = app.screen
        assert isinstance(screen, ChatScreen)
        screen.open_result(result_at(str(model)))
        await pilot.press(*"see 8?", "enter")
        assert screen.desk.load.is_loading and app.current_mode == "chat"
        await until(pilot, lambda: "asked when the model is there" in screen_text(app))
        await until(pilot, lambda: screen.desk.talk.exchanges, seconds=60)
        assert screen.desk.talk.exchanges[0].question == "see 8?"
        assert not screen.query_one(PromptBox).text
