"""A growing file of events is read in bites, whole lines only."""

from pathlib import Path

from tests.plans import scripted_events, step_finished
from tui_tuner.events import StepFinished, TrainEvent, WarningRaised
from tui_tuner.hosting.tailing import BITE_BYTES, EventTail, last_lines

LONG = 10.0


def line(event: TrainEvent) -> str:
    return event.model_dump_json() + "\n"


def journal(tmp_path: Path, *events: TrainEvent) -> Path:
    path = tmp_path / "events.jsonl"
    path.write_text("".join(line(event) for event in events), encoding="utf-8")
    return path


def test_all_events_come_once_and_in_order(tmp_path: Path) -> None:
    tail = EventTail(journal(tmp_path, *scripted_events(steps=2000)))
    assert tail.read(LONG) == tuple(scripted_events(steps=2000))
    assert tail.is_at_end
    assert tail.read(LONG) == ()


def test_a_long_file_is_read_in_many_short_bites(tmp_path: Path) -> None:
    tail = EventTail(journal(tmp_path, *(step_finished(step) for step in range(3000))))
    steps: list[TrainEvent] = []
    num_reads = 0
    while not tail.is_at_end:
        steps += tail.read(0.001) or ()
        num_reads += 1
    assert [one.step for one in steps if isinstance(one, StepFinished)] == list(range(3000))
    assert num_reads > 10


def test_a_torn_line_waits_for_its_end(tmp_path: Path) -> None:
    path = journal(tmp_path, step_finished(1))
    with path.open("a", encoding="utf-8") as file:
        file.write(line(step_finished(2))[:-20])
    tail = EventTail(path)
    assert tail.read(LONG) == (step_finished(1),)
    path.write_text(line(step_finished(1)) + line(step_finished(3)), encoding="utf-8")
    assert tail.read(LONG) == (step_finished(3),)


def test_a_line_longer_than_a_bite_arrives(tmp_path: Path) -> None:
    long = WarningRaised(message="x" * 3 * BITE_BYTES, time=1.0)
    assert EventTail(journal(tmp_path, long, step_finished(1))).read(LONG) == (long, step_finished(1))


def test_a_line_that_is_no_event_is_counted_and_passed_over(tmp_path: Path) -> None:
    path = journal(tmp_path, step_finished(1))
    with path.open("a", encoding="utf-8") as file:
        file.write('{"kind": "of_a_later_version"}\n' + line(step_finished(2)))
    tail = EventTail(path)
    assert tail.read(LONG) == (step_finished(1), step_finished(2))
    assert tail.num_unreadable == 1


def test_a_file_that_was_begun_anew_is_read_anew(tmp_path: Path) -> None:
    path = journal(tmp_path, step_finished(1), step_finished(2))
    tail = EventTail(path)
    tail.read(LONG)
    path.write_text(line(step_finished(7)), encoding="utf-8")
    assert tail.read(LONG) is None
    assert tail.read(LONG) == (step_finished(7),)


def test_a_file_that_is_not_there_yet_is_empty(tmp_path: Path) -> None:
    tail = EventTail(tmp_path / "events.jsonl")
    assert tail.read(LONG) == ()
    assert tail.is_at_end and not tail.has_begun


def test_the_last_lines_of_a_log(tmp_path: Path) -> None:
    (tmp_path / "log.txt").write_bytes(b"\n".join(b"%d" % number for number in range(50_000)) + b"\n\xff\n\n")
    assert last_lines(tmp_path / "log.txt", 2) == ("49999", "�")
    assert last_lines(tmp_path / "nothing") == ()
