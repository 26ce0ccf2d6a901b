"""The header of a safetensors file: names, types, shapes and places of its tensors. The data itself is never read.

Layout: 8 bytes little-endian header length N, N bytes of JSON, then the tensors' bytes without holes.
"""

import json
import struct
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from tui_tuner.errors import ModelError

MAX_HEADER_BYTES = 32 * 2**20
BITS_PER_ELEMENT = {
    "F64": 64, "I64": 64, "U64": 64, "F32": 32, "I32": 32, "U32": 32, "F16": 16, "BF16": 16, "I16": 16, "U16": 16,
    "I8": 8, "U8": 8, "BOOL": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
    "C64": 64,
}  # fmt: skip
DOWNLOAD_AGAIN = "Download the file again."


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """One tensor as a file declares it."""

    name: str
    dtype: str
    """In safetensors' spelling: "BF16", "F32", "U8"."""
    shape: tuple[int, ...]
    file: str

    @property
    def num_elements(self) -> int:
        return prod(self.shape)


def read_header(path: Path) -> tuple[StoredTensor, ...]:
    """The tensors of one file, checked against the file's real size.

    Raises:
        ModelError: the file is missing, truncated, or its header is not a valid safetensors header.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            text = file.read(_header_length(path, size, file.read(8)))
    except FileNotFoundError as error:
        raise ModelError(f"{path} is missing.", "Download the model again; a part of it was not fetched.") from error
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}.") from error
    entries = _entries(path, text)
    ranges = sorted(_range(path, name, entry) for name, entry in entries.items())
    _check_ranges(path, ranges, 8 + len(text), size)
    return tuple(
        StoredTensor(name, str(entry["dtype"]), tuple(entry["shape"]), path.name) for name, entry in entries.items()
    )


def _header_length(path: Path, size: int, length_bytes: bytes) -> int:
    if len(length_bytes) < 8:
        raise ModelError(f"{path} is no safetensors file: it has {size:,} bytes.", DOWNLOAD_AGAIN)
    (length,) = struct.unpack("<Q", length_bytes)
    if length > MAX_HEADER_BYTES:
        raise ModelError(
            f"{path} is no safetensors file: its header would be {length:,} bytes, the limit is {MAX_HEADER_BYTES:,}.",
            DOWNLOAD_AGAIN,
        )
    if 8 + length > size:
        wanted = 8 + length
        raise ModelError(f"{path} is truncated: its header takes {wanted:,} bytes, it has {size:,}.", DOWNLOAD_AGAIN)
    return int(length)


def _entries(path: Path, text: bytes) -> dict[str, Any]:
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} has a damaged header: {error}.", DOWNLOAD_AGAIN) from error
    if not isinstance(entries, dict):
        raise ModelError(f"{path} has a damaged header: no object of tensors.", DOWNLOAD_AGAIN)
    entries.pop("__metadata__", None)
    return entries


def _range(path: Path, name: str, entry: Any) -> tuple[int, int, str]:
    """Start, end and name of one tensor, once its declaration is in order."""
    is_declared = isinstance(entry, dict) and {"dtype", "shape", "data_offsets"} <= entry.keys()
    if not is_declared or not _are_counts(entry["shape"]) or not _are_counts(entry["data_offsets"]):
        raise ModelError(f"{path} declares {name} without a valid type, shape and place.", DOWNLOAD_AGAIN)
    bits = BITS_PER_ELEMENT.get(str(entry["dtype"]))
    if bits is None:
        raise ModelError(f"{path} holds {name} as {entry['dtype']!r}, a type that is not known.")
    if len(entry["data_offsets"]) != 2:
        raise ModelError(f"{path} declares {name} without a start and an end.", DOWNLOAD_AGAIN)
    start, end = entry["data_offsets"]
    if (end - start) * 8 != prod(entry["shape"]) * bits:
        raise ModelError(f"{path} gives {name} {end - start:,} bytes, which do not fit its shape.", DOWNLOAD_AGAIN)
    return start, end, name


def _are_counts(values: Any) -> bool:
    return isinstance(values, list) and all(
        isinstance(value, int) and not isinstance(value, bool) and value >= 0 for value in values
    )


def _check_ranges(path: Path, ranges: list[tuple[int, int, str]], data_start: int, size: int) -> None:
    expected = 0
    for start, end, name in ranges:
        if start != expected:
            raise ModelError(f"{path} has a hole or an overlap before {name}.", DOWNLOAD_AGAIN)
        expected = end
    wanted = data_start + expected
    if size < wanted:
        raise ModelError(f"{path} is truncated: {wanted:,} bytes are declared, it has {size:,}.", DOWNLOAD_AGAIN)
    if size > wanted:
        raise ModelError(f"{path} has {size - wanted:,} bytes too many: {wanted:,} are declared.", DOWNLOAD_AGAIN)
