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

    def data(self, path: Path) -> np.ndarray[Any, np.dtype[Any]]:
        """The bytes, as an array of bytes, or of numbers where they are float32 or float16."""
        block, size = GGML_QUANT_SIZES[self.stored]
        num_bytes = prod(self.shape) // block * size
        data = np.fromfile(path, dtype=np.uint8, count=num_bytes, offset=self.start)
        if self.stored == GGMLQuantizationType.F32:
            return data.view(np.float32).reshape(self.shape)
        if self.stored == GGMLQuantizationType.F16:
            return data.view(np.float16).reshape(self.shape)
        return data.reshape(*self.shape[:-1], self.shape[-1] // block * size)


def read_tensors(path: Path) -> dict[str, ReadTensor]:
    """The tensors by name. Raises ValueError or struct.error where the file is not what it should be."""
    with path.open("rb") as file:
        magic, version, num_tensors, num_keys = struct.unpack("<4sIQQ", file.read(24))
        if magic != MAGIC or version != VERSION:
            raise ValueError(f"{path} begins with {magic!r} {version}, not with {MAGIC!r} {VERSION}")
        for _ in range(num_keys):
            _string(file)
            _skip(file, _number(file, "<I"))
        infos = [_info(file) for _ in range(num_tensors)]
        data_start = -(-file.tell() // ALIGNMENT) * ALIGNMENT
    return {name: ReadTensor(shape, stored, data_start + offset) for name, shape, stored, offset in infos}


def _info(file: BinaryIO) -> tuple[str, tuple[int, ...], GGMLQuantizationType, int]:
    name = _string(file).decode()
    shape = tuple(_number(file, "<Q") for _ in range(_number(file, "<I")))
    return name, shape[::-1], GGMLQuantizationType(_number(file, "<I")), _number(file, "<Q")


def _skip(file: BinaryIO, kind: int) -> None:
    if kind == STRING:
        _string(file)
    elif kind == ARRAY:
        inner, length = _number(file, "<I"), _number(file, "<Q")
        if inner in VALUE_BYTES:
            file.seek(length * VALUE_BYTES[inner], 1)
        else:
            for _ in range(length):
                _skip(file, inner)
    else:
        file.seek(VALUE_BYTES[kind], 1)


def _string(file: BinaryIO) -> bytes:
    return file.read(_number(file, "<Q"))


def _number(file: BinaryIO, form: str) -> int:
    return int(struct.unpack(form, file.read(struct.calcsize(form)))[0])
