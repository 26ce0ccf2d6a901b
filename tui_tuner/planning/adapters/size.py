"""How many bytes a float32 safetensors file of given tensors takes, to the byte."""

import json
from collections.abc import Mapping
from math import prod

BYTES_PER_ELEMENT = 4
ALIGNMENT = 8


def safetensors_bytes(tensors: Mapping[str, tuple[int, ...]]) -> int:
    """Size of the file that `safetensors` writes: 8 bytes, the JSON header padded to 8, and the data in name order."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name in sorted(tensors):
        end = offset + BYTES_PER_ELEMENT * prod(tensors[name])
        header[name] = {"dtype": "F32", "shape": list(tensors[name]), "data_offsets": [offset, end]}
        offset = end
    length = len(json.dumps(header, separators=(",", ":")).encode())
    return 8 + -(-length // ALIGNMENT) * ALIGNMENT + offset
