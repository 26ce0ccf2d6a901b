"""What a comparison is asked for. No torch, so that the command line can make one."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tui_tuner.engine.bench.peers.cases import Case

PEERS = ("hf", "liger", "unsloth")
PACKAGES = {"hf": "peft transformers", "liger": "liger-kernel", "unsloth": "unsloth"}
"""What pip installs of each."""
NAMES = {
    "tuner": "tuner",
    "hf": "HF + PEFT",
    "liger": "Liger-Kernel + PEFT",
    "unsloth": "Unsloth",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonRequest:
    """Checked options of `tuner bench --peers`."""

    cases: tuple[Case, ...]
    peers: tuple[str, ...]
    """Of `PEERS`; we ourselves are always there."""
    pythons: Mapping[str, str]
    folder: Path
    """Takes models, rows and logs; what of them is there already is used. Absolute: children work elsewhere."""
    model: str | None
    """A model folder in the place of the random one."""
    lengths: Path | None
    """Real lengths in the place of drawn ones."""
    warm_up: int
    steps: int
    has_exact_reference: bool
    """Loss and gradients are compared with float32 instead of with the precision that is measured."""
    rounds: int
    """How often each system has its turn."""
