"""Event files that TensorBoard reads: checked record by record with a reader of our own."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tui_tuner.trackers.tensorboard import TensorBoard, crc32c, masked_crc
from tui_tuner.trackers.tracked import TrackedRun


@dataclass
class Read:
    """An Event message."""

    wall_time: float = 0.0
    step: int = 0
    version: bytes = b""
    values: dict[str, float] = field(default_factory=dict)
    session: bytes = b""


def records(path: Path) -> Iterator[bytes]:
    content = path.read_bytes()
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        assert struct.unpack("<I", content[8:12]) == (masked_crc(content[:8]),)
        data, rest = content[12 : 12 + length], content[12 + length :]
        assert struct.unpack("<I", rest[:4]) == (masked_crc(data),)
        yield data
        content = rest[4:]


def fields(message: bytes) -> Iterator[tuple[int, bytes | int | float]]:
    while message:
        number, kind, message = message[0] >> 3, message[0] & 7, message[1:]
        if kind == 1:
            yield number, struct.unpack("<d", message[:8])[0]
            message = message[8:]
        elif kind == 5:
            yield number, struct.unpack("<f", message[:4])[0]
            message = message[4:]
        else:
            value, message = varint(message)
            if kind == 2:
                yield number, message[:value]
                message = message[value:]
            else:
                yield number, value


def varint(message: bytes) -> tuple[int, bytes]:
    value = shift = 0
    while True:
        byte, message = message[0], message[1:]
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return value, message


def read(path: Path) -> list[Read]:
    events = []
    for data in records(path):
        parts = dict(fields(data))
        event = Read(wall_time=float(parts[1]), step=int(parts.get(2, 0)))
        event.version, event.session = bytes(parts.get(3, b"")), bytes(parts.get(7, b""))  # type: ignore[arg-type]
        for _, value in fields(parts.get(5, b"")):  # type: ignore[arg-type]
            pair = dict(fields(value))  # type: ignore[arg-type]
            event.values[pair[1].decode()] = float(pair[2])  # type: ignore[union-attr]
        events.append(event)
    return events


def run_in(folder: Path, resumes_after: int | None = None) -> TrackedRun:
    return TrackedRun(name="one", project="tuner", folder=folder, settings={}, resumes_after=resumes_after)


def test_the_checksum_is_that_of_rfc_3720() -> None:
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"123456789") == 0xE3069283


def test_numbers_come_back_as_they_were_written(tmp_path: Path) -> None:
    board = TensorBoard(run_in(tmp_path))
    board.log(300, {"train/loss": 1.25, "train/learning_rate": 2e-4}, 1_800_000_000.5)
    board.close(has_failed=False)
    version, event = read(board.path)
    assert version.version == b"brain.Event:2"
    assert (event.step, event.wall_time) == (300, 1_800_000_000.5)
    assert event.values == pytest.approx({"train/loss": 1.25, "train/learning_rate": 2e-4})


def test_a_resumed_run_takes_back_what_comes_again(tmp_path: Path) -> None:
    board = TensorBoard(run_in(tmp_path, resumes_after=20))
    board.close(has_failed=False)
    assert [(one.step, one.session) for one in read(board.path)] == [(0, b""), (21, b"\x08\x01")]


def test_only_the_owner_may_read_the_file(tmp_path: Path) -> None:
    board = TensorBoard(run_in(tmp_path))
    assert (board.path.stat().st_mode & 0o777, board.path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
