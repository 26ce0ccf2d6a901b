"""Reads the tensors of a GGUF file that we wrote, by the format's description and not by the writer's own package.

Layout, little-endian: "GGUF", version, number of tensors and of keys, the keys with their values, then of each tensor
name, dimensions (the fastest first), type and offset, then padding to the alignment, then the data.
"""

import struct
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from gguf import GGMLQuantizationType
from gguf.constants import GGML_QUANT_SIZES

from tui_tuner.errors import ModelError

MAGIC = b"GGUF"
VERSION = 3
ALIGNMENT = 32
VALUE_BYTES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
"""Size of each type of number, by its code."""
STRING, ARRAY = 8, 9


@dataclass(frozen=True, slots=True)
class ReadTensor:
    """Where one tensor lies."""

    shape: tuple[int, ...]
    """The slowest dimension first, as numpy has it."""
    stored: GGMLQuantizationType
    start: int

    @property
    def num_bytes(self) -> int:
        block, size = GGML_QUANT_SIZES[self.stored]
        return prod(self.shape) // block * size

    def data(self, path: Path) -> np.ndarray[Any, np.dtype[Any]]:
        """The bytes, as an array of bytes, or of numbers where they are float32 or float16."""
        block, size = GGML_QUANT_SIZES[self.stored]
        data = np.fromfile(path, dtype=np.uint8, count=self.num_bytes, offset=self.start)
        if self.stored == GGMLQuantizationType.F32:
            return data.view(np.float32).reshape(self.shape)
        if self.stored == GGMLQuantizationType.F16:
            return data.view(np.float16).reshape(self.shape)
        return data.reshape(*self.shape[:-1], self.shape[-1] // block * size)


def read_tensors(path: Path) -> dict[str, ReadTensor]:
    """The tensors by name. Every length is compared with the file's own before anything of that size is read.

    Raises:
        ModelError: the file is not what it should be.
    """
    try:
        with path.open("rb") as file:
            return _Reader(file, path.stat().st_size).tensors()
    except (OSError, ValueError, struct.error, OverflowError) as error:
        raise ModelError(f"{path} is no whole GGUF file: {error}.", "Export it again.") from error


@dataclass(frozen=True, slots=True)
class _Reader:
    """Raises ValueError and struct.error."""

    file: BinaryIO
    size: int

    def tensors(self) -> dict[str, ReadTensor]:
        magic, version, num_tensors, num_keys = struct.unpack("<4sIQQ", self.file.read(24))
        if magic != MAGIC or version != VERSION:
            raise ValueError(f"it begins with {magic!r} {version}, not with {MAGIC!r} {VERSION}")
        for _ in range(self._within(num_keys, "keys")):
            self._string()
            self._skip(self._number("<I"), may_be_array=True)
        infos = [self._info() for _ in range(self._within(num_tensors, "tensors"))]
        start = -(-self.file.tell() // ALIGNMENT) * ALIGNMENT
        found = {name: ReadTensor(shape, stored, start + offset) for name, shape, stored, offset in infos}
        for name, tensor in found.items():
            self._within(tensor.start + tensor.num_bytes, f"bytes up to the end of {name}")
        return found

    def _info(self) -> tuple[str, tuple[int, ...], GGMLQuantizationType, int]:
        name = self._string().decode()
        shape = tuple(self._number("<Q") for _ in range(self._within(self._number("<I"), "dimensions")))
        return name, shape[::-1], GGMLQuantizationType(self._number("<I")), self._number("<Q")

    def _skip(self, kind: int, *, may_be_array: bool) -> None:
        if kind == STRING:
            self._string()
        elif kind == ARRAY and may_be_array:
            inner, length = self._number("<I"), self._within(self._number("<Q"), "values")
            if inner in VALUE_BYTES:
                self.file.seek(length * VALUE_BYTES[inner], 1)
                return
            for _ in range(length):
                self._skip(inner, may_be_array=False)
        elif kind in VALUE_BYTES:
            self.file.seek(VALUE_BYTES[kind], 1)
        else:
            raise ValueError(f"a value is of the unknown type {kind}")

    def _string(self) -> bytes:
        return self.file.read(self._within(self._number("<Q"), "bytes of text"))

    def _number(self, form: str) -> int:
        return int(struct.unpack(form, self.file.read(struct.calcsize(form)))[0])

    def _within(self, count: int, what: str) -> int:
        """The count, if a file of this size can hold so many of anything."""
        if count > self.size:
            raise ValueError(f"it announces {count:,} {what} and has {self.size:,} bytes")
        return count
