"""The files of a look: fixed records that a reader maps while they grow. They are written after what they point at."""

import json
from pathlib import Path
from typing import IO, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from tui_tuner.data.audit.findings import CHECKS, Finding
from tui_tuner.data.labels import NOT_TRAINED, LabelledExample

ROWS_NAME, FITS_NAME, FINDINGS_NAME, DETAILS_NAME = "rows.bin", "fits.bin", "findings.bin", "details.bin"
TOKENS_NAME, TRAINED_NAME, CURVE_NAME, STATE_NAME = "tokens.bin", "trained.bin", "curve.npy", "state.json"
CHECK_NAMES = tuple(CHECKS)
UNUSABLE = 2
KINDS = {"conversation": 0, "document": 1}
TOKEN = np.dtype("<i4")
ROW = np.dtype(
    [
        ("start", "<i8"),  # index of its first token in the file of tokens
        ("line", "<i8"),
        ("length", "<i4"),
        ("trained", "<i4"),
        ("first", "<i4"),  # the first token that counts in the loss; -1 where none does
        ("path", "<i4"),
        ("source", "<i2"),
        ("kind", "<i2"),
    ]
)
FIT = np.dtype(
    [
        ("row", "<i8"),
        ("start", "<i8"),  # of what was rendered anew; -1 where the beginning of the whole row is kept
        ("length", "<i4"),  # tokens kept; 0 where the row is left out
        ("trained", "<i4"),
        ("turns", "<i4"),  # oldest turns dropped
        ("unused", "<i4"),
    ]
)
FOUND = np.dtype(
    [
        ("row", "<i8"),
        ("start", "<i8"),  # of the detail, in bytes
        ("length", "<i4"),
        ("message", "<i4"),  # -1 where it is about the whole row
        ("check", "<i4"),
        ("unused", "<i4"),
    ]
)


class LookState(BaseModel):
    """How far the process is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: Literal["running", "done", "failed"] = "running"
    bytes_done: int = 0
    bytes_total: int = 0
    message: str = ""
    hint: str = ""
    template: str = ""
    """Which chat template renders the rows, in words."""
    paths: tuple[str, ...] = ()
    special_ids: tuple[int, ...] = ()
    """Tokens that are never split."""
    stop_ids: tuple[int, ...] = ()


def write_state(folder: Path, state: LookState) -> None:
    """Replace the state in one move."""
    fresh = folder / f"{STATE_NAME}.new"
    fresh.write_text(state.model_dump_json(), encoding="utf-8")
    fresh.replace(folder / STATE_NAME)


def read_state(folder: Path) -> LookState | None:
    """None where nothing was written yet, or what was is damaged."""
    try:
        return LookState.model_validate(json.loads((folder / STATE_NAME).read_bytes()))
    except (OSError, ValueError):
        return None


class TokenFile:
    """Token ids, and beside each whether it is trained."""

    def __init__(self, folder: Path) -> None:
        self._ids, self._trained = _opened(folder / TOKENS_NAME), _opened(folder / TRAINED_NAME)
        self._count = 0

    def append(self, example: LabelledExample) -> int:
        """Returns the index of its first token."""
        start = self._count
        self._ids.write(example.input_ids.astype(TOKEN, copy=False).tobytes())
        self._trained.write((example.labels != NOT_TRAINED).astype(np.uint8).tobytes())
        self._count += example.num_tokens
        return start

    def flush(self) -> None:
        self._ids.flush()
        self._trained.flush()


class FindingFile:
    """What was found, a record for each finding."""

    def __init__(self, folder: Path) -> None:
        self._records, self._details = _opened(folder / FINDINGS_NAME), _opened(folder / DETAILS_NAME)
        self._num_bytes = 0

    def append(self, row: int, finding: Finding) -> None:
        detail = finding.detail.encode("utf-8", "surrogatepass")
        message = -1 if finding.message is None else finding.message
        record = (row, self._num_bytes, len(detail), message, CHECK_NAMES.index(finding.check), 0)
        self._details.write(detail)
        self._records.write(np.array([record], dtype=FOUND).tobytes())
        self._num_bytes += len(detail)

    def flush(self) -> None:
        self._details.flush()
        self._records.flush()


class RecordFile:
    """Records of one kind."""

    def __init__(self, path: Path, kind: np.dtype[np.void]) -> None:
        self._file, self._kind = _opened(path), kind

    def append(self, record: tuple[int, ...]) -> None:
        self._file.write(np.array([record], dtype=self._kind).tobytes())

    def flush(self) -> None:
        self._file.flush()


def mapped(path: Path, kind: np.dtype[np.void]) -> np.ndarray[tuple[int], np.dtype[np.void]]:
    """The records that are complete now; none where there is no file."""
    try:
        count = path.stat().st_size // kind.itemsize
    except OSError:
        count = 0
    if not count:
        return np.empty(0, dtype=kind)
    return np.memmap(path, dtype=kind, mode="r", shape=(count,))


def _opened(path: Path) -> IO[bytes]:
    return path.open("wb", buffering=2**18)
