"""JSON in which no object names a key twice: of two values under one key, one would be lost without a word."""

import json
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RepeatedKey:
    """Stands where an object named a key twice."""

    key: str

    def __str__(self) -> str:
        return f'an object names the key "{self.key[:40]}" twice'


class _RepeatedError(Exception):
    """Some object names a key twice; never leaves this module."""


def parse_json(text: str) -> tuple[object, bool]:
    """Like `json.loads`, with a `RepeatedKey` for each object that names a key twice, and whether there is one."""
    try:
        return _STRICT.decode(text), False
    except _RepeatedError:
        return _MARKING.decode(text), True


def repeated_key(value: object) -> RepeatedKey | None:
    """The first one in a value that `parse_json` gave."""
    if isinstance(value, RepeatedKey):
        return value
    within = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return next((found for entry in within if (found := repeated_key(entry)) is not None), None)


def _refusing(pairs: list[tuple[str, object]]) -> object:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise _RepeatedError
    return fields


def _marking(pairs: list[tuple[str, object]]) -> object:
    keys = [key for key, _ in pairs]
    repeated = [key for number, key in enumerate(keys) if key in keys[:number]]
    return RepeatedKey(repeated[0]) if repeated else dict(pairs)


_STRICT = json.JSONDecoder(object_pairs_hook=_refusing)
_MARKING = json.JSONDecoder(object_pairs_hook=_marking)
