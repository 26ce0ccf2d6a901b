"""TensorBoard's event files, written without TensorBoard: TFRecords of hand-encoded `Event` messages.

Record: uint64 length, masked CRC-32C of it, the bytes, masked CRC-32C of them; little-endian (TensorFlow's
record_writer.cc). Messages: tensorflow/core/util/event.proto and tensorflow/core/framework/summary.proto.
"""

import os
import socket
import struct
import time
from functools import cache

from tui_tuner.trackers.tracked import TrackedRun

FOLDER = "tensorboard"
_MASK_DELTA = 0xA282EAD8
_POLYNOMIAL = 0x82F63B78
_VARINT, _DOUBLE, _BYTES, _FLOAT = 0, 1, 2, 5
_SESSION_START = 1


class TensorBoard:
    """One file of this process's part of the run, in the run's folder."""

    def __init__(self, run: TrackedRun) -> None:
        folder = run.folder / FOLDER
        folder.mkdir(mode=0o700, exist_ok=True)
        name = f"events.out.tfevents.{time.time_ns() // 10**9:010d}.{socket.gethostname()}.{os.getpid()}.0"
        self.path = folder / name
        self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._write(_field(3, b"brain.Event:2"), 0, time.time())
        if run.resumes_after is not None:
            # TensorBoard drops what an earlier file has from this step on; without a checkpoint step 0 comes again too.
            first = run.resumes_after + 1 if run.resumes_after else 0
            self._write(_field(7, _number(1, _SESSION_START)), first, time.time())

    def log(self, step: int, values: dict[str, float], time: float) -> None:
        pairs = (_field(1, name.encode()) + _key(2, _FLOAT) + struct.pack("<f", one) for name, one in values.items())
        self._write(_field(5, b"".join(_field(1, pair) for pair in pairs)), step, time)

    def close(self, *, has_failed: bool) -> None:  # noqa: ARG002 - an event file does not say how a run ended
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _write(self, what: bytes, step: int, wall_time: float) -> None:
        """One Event: wall_time = 1, step = 2, and one of file_version = 3, summary = 5, session_log = 7."""
        os.write(self._file, record(_key(1, _DOUBLE) + struct.pack("<d", wall_time) + _number(2, step) + what))


def record(content: bytes) -> bytes:
    """A TFRecord."""
    length = struct.pack("<Q", len(content))
    return length + struct.pack("<I", masked_crc(length)) + content + struct.pack("<I", masked_crc(content))


def masked_crc(content: bytes) -> int:
    """CRC-32C (Castagnoli), rotated and shifted so that a CRC over bytes that hold CRCs stays good."""
    crc = crc32c(content)
    return (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF


def crc32c(content: bytes) -> int:
    crc = 0xFFFFFFFF
    table = _table()
    for byte in content:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


@cache
def _table() -> tuple[int, ...]:
    entries = []
    for entry in range(256):
        for _ in range(8):
            entry = (entry >> 1) ^ (_POLYNOMIAL if entry & 1 else 0)
        entries.append(entry)
    return tuple(entries)


def _key(number: int, wire_type: int) -> bytes:
    return bytes([number << 3 | wire_type])


def _number(number: int, value: int) -> bytes:
    return _key(number, _VARINT) + _varint(value)


def _field(number: int, content: bytes) -> bytes:
    return _key(number, _BYTES) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])
