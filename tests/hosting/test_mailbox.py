"""Wishes arrive in order; whatever else lies in the mailbox is put aside, reported, and harms nothing."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tui_tuner.controls import ControlRequest, Controls
from tui_tuner.errors import MachineError, RunError
from tui_tuner.hosting.launching import open_live_folder
from tui_tuner.hosting.live_folder import LiveFolder, live_folder
from tui_tuner.hosting.mailbox import MAX_WISH_BYTES, MailboxControls, MailboxReader, send
from tui_tuner.hosting.notes import LaunchNote


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveFolder]:
    """A live folder that this process keeps alive."""
    folder = live_folder(tmp_path, "one")
    lock = open_live_folder(folder, LaunchNote(run_id="one", mode="foreground"))
    yield folder
    os.close(lock)


def received(live: LiveFolder) -> list[ControlRequest]:
    controls = Controls()
    MailboxReader(live.mailbox, controls).empty()
    return list(controls.poll())


def hostile(mailbox: Path, kind: str) -> None:
    """Put something into the mailbox that is no wish."""
    path = mailbox / "0-evil.json"
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "link":
            (mailbox / "target").write_text('{"action": "abort"}')
            path.symlink_to(mailbox / "target")
        case "huge":
            path.write_text('{"action": "abort"}' + " " * MAX_WISH_BYTES)
        case _:
            path.write_text(kind)


def test_wishes_arrive_once_and_in_order(live: LiveFolder) -> None:
    controls = MailboxControls(live)
    for ask in (controls.pause, controls.save_now, controls.evaluate_now, controls.sample_now, controls.resume):
        ask()
    controls.set_learning_rate(0.5)
    assert [request.action for request in received(live)] == [
        "pause", "save", "evaluate", "sample", "resume", "learning_rate",
    ]  # fmt: skip
    assert received(live) == []


def test_abort_reaches_the_run_as_an_abort(live: LiveFolder) -> None:
    MailboxControls(live).abort()
    controls = Controls()
    MailboxReader(live.mailbox, controls).empty()
    assert controls.is_aborting


def test_only_the_owner_can_write_or_read_wishes(live: LiveFolder) -> None:
    send(live, ControlRequest("pause"))
    (wish,) = live.mailbox.glob("*.json")
    assert [path.stat().st_mode & 0o777 for path in (wish, live.mailbox, live.path)] == [0o600, 0o700, 0o700]


@pytest.mark.parametrize(
    "kind",
    ["pipe", "folder", "link", "huge", "", "\x00\xff", "[]", '{"action": "rm"}', '{"action": "pause", "also": 1}',
     '{"action": "learning_rate"}', '{"action": "learning_rate", "value": -1}',
     '{"action": "learning_rate", "value": NaN}', '{"action": "stop", "value": 2}', '{"action":' * 90],
)  # fmt: skip
def test_what_is_no_wish_is_put_aside_and_told(live: LiveFolder, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    hostile(live.mailbox, kind)
    send(live, ControlRequest("pause"))
    with caplog.at_level(logging.WARNING):
        assert received(live) == [ControlRequest("pause")]
    assert "0-evil.json in the mailbox is no wish" in caplog.text
    assert os.path.lexists(live.mailbox / "put-aside" / "0-evil.json")


def test_a_wish_of_another_user_is_put_aside(live: LiveFolder) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    send(live, ControlRequest("abort"))
    (wish,) = live.mailbox.glob("*.json")
    os.chown(wish, 12345, 12345)
    assert received(live) == []


def test_a_name_cannot_drive_the_terminal_through_the_log(live: LiveFolder, caplog: pytest.LogCaptureFixture) -> None:
    (live.mailbox / "\x1b]0;evil\x07.json").write_text("")
    received(live)
    assert "\x1b" not in caplog.text


def test_a_mailbox_that_is_gone_is_no_reason_to_end(tmp_path: Path) -> None:
    assert received(LiveFolder(tmp_path / "nowhere")) == []


def test_nobody_writes_to_a_run_that_is_over(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is not running"):
        send(live_folder(tmp_path, "one"), ControlRequest("pause"))


def test_a_mailbox_that_cannot_be_written_says_so(live: LiveFolder) -> None:
    live.mailbox.rmdir()
    with pytest.raises(MachineError, match="cannot be written"):
        send(live, ControlRequest("pause"))


def test_the_thread_obeys_while_the_block_lasts(live: LiveFolder) -> None:
    controls = Controls()
    with MailboxReader(live.mailbox, controls):
        send(live, ControlRequest("resume"))
        assert controls.wait(timeout=5.0)
    assert controls.poll() == (ControlRequest("resume"),)
