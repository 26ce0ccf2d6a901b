"""Whether an adapter is large enough, or larger than needed, for what the data can teach it. A rule of thumb.

A LoRA adapter stores about 2 bits a parameter, and the answers of an instruction set carry about 1 bit a token: an
adapter is full when the trained tokens, seen once, are twice its parameters (Schulman et al., "LoRA Without Regret",
2025, section on capacity).
"""

from dataclasses import dataclass
from typing import Literal

from tui_tuner.plan import AdapterPlan, DataFacts

BITS_PER_PARAMETER = 2.0
BITS_PER_TOKEN = 1.0
TIGHT_SHARE = 0.5
"""Share of an adapter's capacity from which a larger rank may learn more."""
SPARE_SHARE = 0.002
"""Share of an adapter's capacity below which a smaller rank learns as much."""

Verdict = Literal["full", "tight", "ample", "spare"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """How far the distinct trained tokens would fill an adapter."""

    trained_tokens: int
    num_trainable: int
    share: float
    """Of the capacity; above 1 the data hold more than the adapter can."""
    verdict: Verdict


def adapter_capacity(adapter: AdapterPlan, data: DataFacts) -> Capacity | None:
    """None where the trained tokens are not known, or nothing is trained. Epochs repeat tokens and add nothing."""
    tokens = data.num_trained_tokens
    if not tokens or not adapter.num_trainable:
        return None
    share = tokens * BITS_PER_TOKEN / (adapter.num_trainable * BITS_PER_PARAMETER)
    return Capacity(trained_tokens=tokens, num_trainable=adapter.num_trainable, share=share, verdict=_verdict(share))


def _verdict(share: float) -> Verdict:
    if share > 1.0:
        return "full"
    if share > TIGHT_SHARE:
        return "tight"
    return "ample" if share > SPARE_SHARE else "spare"
