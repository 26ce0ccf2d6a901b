"""Files that were right once: strategies that damage them byte by byte, or exchange a part of what they say."""

import copy
import json
from collections.abc import Callable
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

EXAMPLES = 50
"""Of each property; a long hunt sets more before the tests are imported."""
Test = TypeVar("Test", bound=Callable[..., None])
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=20),
    st.sampled_from(["", "..", "../../etc/passwd", "\x00", "\ud800", "nan", "1e999", "a" * 2000, "hf_CANARYcanary123"]),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip
BYTES = st.one_of(
    st.binary(max_size=16),
    st.sampled_from(
        [b"\x00", b"\xff\xfe", b'"', b"{", b"[" * 3000, b"\\ud800", b"\n", b"9" * 5000, b"-", b"\x1b]52;c"],
    ),
)  # fmt: skip


def fuzzed(test: Test) -> Test:
    """The same few examples each time; an example that takes seconds is a hang."""
    decorate = settings(
        max_examples=EXAMPLES, derandomize=True, deadline=5000, database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
    )  # fmt: skip
    return decorate(test)


@st.composite
def damaged_bytes(draw: st.DrawFn, content: bytes) -> bytes:
    """A few places are overwritten, cut out or filled up, or the end is missing."""
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        length = draw(st.sampled_from([0, 0, 1, 1, 8, 100, len(content)]))
        content = content[:start] + draw(BYTES) + content[start + length :]
    return content


@st.composite
def damaged_value(draw: st.DrawFn, value: Any) -> Any:
    """One or two parts of nested tables are exchanged, doubled, renamed or left out."""
    changed = copy.deepcopy(value)
    for _ in range(draw(st.integers(1, 2))):
        _damage(draw, changed)
    return changed


def damaged_json(value: Any) -> st.SearchStrategy[bytes]:
    """The value as JSON text, damaged in what it says or in how it is written."""
    right = json.dumps(value).encode()
    return damaged_value(value).map(lambda one: json.dumps(one).encode("utf-8", "surrogatepass")) | damaged_bytes(right)


def _damage(draw: st.DrawFn, value: Any) -> None:
    while isinstance(value, dict | list) and value:
        keys = sorted(value) if isinstance(value, dict) else list(range(len(value)))
        key = draw(st.sampled_from(keys))
        inner = value[key]
        if isinstance(inner, dict | list) and inner and draw(st.booleans()):
            value = inner
            continue
        match draw(st.sampled_from(["exchange", "exchange", "leave out", "rename"])):
            case "exchange":
                value[key] = draw(VALUES)
            case "leave out":
                del value[key]
            case _ if isinstance(value, dict):
                value[draw(st.text(max_size=10))] = value.pop(key)
            case _:
                value.append(copy.deepcopy(inner))
        return
