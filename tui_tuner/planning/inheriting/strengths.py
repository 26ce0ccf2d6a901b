"""Rank and alpha of each adapted module, where an adapter has others for some (PEFT's rank_pattern, alpha_pattern).

PEFT matches modules with regular expressions out of the config. Here a key is a path or the end of one, which is what
people write. Whatever a pattern says, the tensors tell the rank; a key that is more than a name is never run.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tui_tuner.errors import AdapterError

CONFIG_FILE = "adapter_config.json"
TWO_ADAPTERS = "The two files do not belong together."
MAX_NUMBER = 2**31
PEFT_ALPHA = 8.0
"""What PEFT takes where a config says nothing."""
_PLAIN = re.compile(r"\^?[A-Za-z0-9_]+(?:\\?\.[A-Za-z0-9_]+)*\$?")


@dataclass(frozen=True, slots=True)
class Strength:
    """Of one module's adapter."""

    rank: int
    alpha: float


def strengths(folder: Path, config: Mapping[str, object], ranks: Mapping[str, int]) -> dict[str, Strength]:
    """What each adapted module has, by its path.

    Args:
        config: adapter_config.json.
        ranks: of the matrices in the file, by module path.

    Raises:
        AdapterError: config and file contradict each other, or alphas hang on a regular expression.
    """
    usual = config.get("r")
    by_key = {key: int(value) for key, value in _pattern(folder, config, "rank_pattern").items()}
    has_names_only = all(map(_PLAIN.fullmatch, by_key))
    for path, rank in ranks.items() if has_names_only else ():
        expected = by_key.get(_key(by_key, path), usual)
        if rank != expected:
            raise AdapterError(f"{folder}: {CONFIG_FILE} says rank {expected}, {path} has {rank}.", TWO_ADAPTERS)
    if not ranks or isinstance(usual, bool) or not isinstance(usual, int):
        raise AdapterError(f"{folder}: {CONFIG_FILE} says rank {usual}, the weights have {_some(ranks)}.", TWO_ADAPTERS)
    alphas = _alphas(folder, config)
    alpha = alpha_of(folder, config)
    return {path: Strength(rank, alphas.get(_key(alphas, path), alpha)) for path, rank in ranks.items()}


def alpha_of(folder: Path, config: Mapping[str, object]) -> float:
    """The alpha of modules that have none of their own."""
    return _above_zero(folder, config, "lora_alpha", PEFT_ALPHA)


def number(folder: Path, table: Mapping[str, object], name: str, default: float) -> float:
    """A number of the config, 0 or more. Raises AdapterError where it is none."""
    value = table.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < MAX_NUMBER:
        raise AdapterError(f"{folder}: {CONFIG_FILE} says {name} is {value!r}.", "The file is damaged.")
    return float(value)


def _pattern(folder: Path, config: Mapping[str, object], name: str) -> dict[str, float]:
    """The numbers of a pattern, by its keys. Raises AdapterError where it is no table of numbers above zero."""
    table = config.get(name) or {}
    if not isinstance(table, dict):
        raise AdapterError(f"{folder}: {CONFIG_FILE} says {name} is {table!r}.", "The file is damaged.")
    return {str(key): _above_zero(folder, table, key, 0.0) for key in table}


def _alphas(folder: Path, config: Mapping[str, object]) -> dict[str, float]:
    alphas = _pattern(folder, config, "alpha_pattern")
    unreadable = next((key for key in alphas if not _PLAIN.fullmatch(key)), None)
    if unreadable is not None:
        raise AdapterError(
            f"{folder} sets alpha_pattern by the regular expression {unreadable!r}; such are never run here.",
            "Write the names of the modules in adapter_config.json instead.",
        )
    return alphas


def _above_zero(folder: Path, table: Mapping[str, object], name: str, default: float) -> float:
    value = number(folder, table, name, default)
    if value == 0:
        raise AdapterError(f"{folder}: {CONFIG_FILE} says {name} is 0, which turns the adapter off.", TWO_ADAPTERS)
    return value


def _key(keys: Iterable[str], path: str) -> str:
    """The first key that means the module, as PEFT takes the first; "" where none does."""
    for key in keys:
        name = key.replace("\\.", ".").removesuffix("$")
        if path == name.removeprefix("^") or (not name.startswith("^") and path.endswith(f".{name}")):
            return key
    return ""


def _some(ranks: Mapping[str, int]) -> str:
    return ", ".join(map(str, sorted(set(ranks.values())))) or "none"
