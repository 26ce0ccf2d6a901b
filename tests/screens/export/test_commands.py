from tests.screens.export.scripted import FINISHED
from tui_tuner.exports import ExportKind
from tui_tuner.screens.export.commands import login_of, use_commands


def test_fetching_names_the_address_that_the_connection_came_in_on() -> None:
    assert login_of({"SSH_CONNECTION": "9.9.9.9 5000 10.1.2.3 22"}, "ann", "box") == "ann@10.1.2.3"
    assert login_of({"SSH_CONNECTION": "::1 5000 fe80::2 22"}, "ann", "box") == "ann@[fe80::2]"
    assert login_of({}, "ann", "box") == "ann@box"


def test_an_adapter_comes_with_pefts_lines_and_a_copy_command() -> None:
    finished = FINISHED.model_copy(update={"export": ExportKind.ADAPTER})
    commands = {one.program: one.command for one in use_commands(finished, "Qwen/Qwen3-8B", "ann@box")}
    assert "'Qwen/Qwen3-8B'" in commands["PEFT"] and finished.folder in commands["PEFT"]
    assert commands["rsync"] == "rsync -avP ann@box:/runs/support-v4/exports/merged/ ./support-v4/"


def test_what_lies_on_the_hub_need_not_be_copied() -> None:
    finished = FINISHED.model_copy(update={"export": ExportKind.HUB, "commands": ()})
    assert use_commands(finished, "Qwen/Qwen3-8B", "ann@box") == ()
