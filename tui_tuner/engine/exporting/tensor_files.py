"""Safetensors files written tensor by tensor, so that a model never lies in memory as a whole.

Layout: 8 bytes little-endian header length N, N bytes of JSON, then the tensors' bytes without holes.
"""

import json
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import torch
from torch import Tensor

STORED_TYPES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}
TORCH_TYPES = {name: dtype for dtype, name in STORED_TYPES.items()} | {
    "F64": torch.float64, "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8,
    "U8": torch.uint8, "BOOL": torch.bool, "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2,
}  # fmt: skip
ALIGNMENT = 8
"""Readers that map the file want the data to begin at a multiple of 8."""


@dataclass(frozen=True, slots=True)
class TensorEntry:
    """A tensor that will be written."""

    name: str
    dtype: str
    """In safetensors' spelling."""
    shape: tuple[int, ...]

    @property
    def num_bytes(self) -> int:
        return prod(self.shape) * TORCH_TYPES[self.dtype].itemsize


def write_tensors(path: Path, entries: Sequence[TensorEntry], read: Callable[[str], Tensor]) -> None:
    """Write the entries in order; each is read just before it is written.

    Raises:
        OSError: the disk is full or cannot be written.
        ValueError: what is read is not what its entry says; a bug of the caller.
    """
    offset = 0
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    for entry in entries:
        header[entry.name] = {
            "dtype": entry.dtype,
            "shape": list(entry.shape),
            "data_offsets": [offset, offset + entry.num_bytes],
        }
        offset += entry.num_bytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for entry in entries:
            tensor = read(entry.name)
            if tensor.dtype != TORCH_TYPES[entry.dtype] or tuple(tensor.shape) != entry.shape:
                raise ValueError(f"{entry.name} is {tensor.dtype} {tuple(tensor.shape)}, announced as {entry}")
            file.write(tensor.contiguous().flatten().view(torch.uint8).numpy().data)
