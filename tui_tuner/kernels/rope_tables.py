"""Cosines and sines of rotary position embeddings, for every way in which models stretch them over longer contexts.

Made once for a run, on the host and then on the device; the rotation itself is in `rope`.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Linear:
    """Positions divided by `factor`."""

    factor: float


@dataclass(frozen=True, slots=True)
class Dynamic:
    """NTK-aware: the base grows with the sequence once it is longer than the model was trained for."""

    factor: float
    trained_length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Llama3:
    """Long waves are slowed by `factor`, short ones stay, those between are blended (Llama 3.1)."""

    factor: float
    low_freq_factor: float
    high_freq_factor: float
    trained_length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Yarn:
    """Pairs that turn often within the trained length stay, those that turn seldom are slowed (arXiv 2309.00071)."""

    factor: float
    trained_length: int
    attention_factor: float | None = None
    """On cosines and sines; None for the paper's 0.1 ln(factor) + 1, or what the two below give."""
    mscale: float | None = None
    mscale_all_dim: float | None = None
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    truncates: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class LongRope:
    """A factor for each pair, one set up to the trained length and one beyond it (arXiv 2402.13753)."""

    short_factors: tuple[float, ...]
    long_factors: tuple[float, ...]
    trained_length: int
    factor: float
    """Longest length over trained length; it sets the attention factor where that is None."""
    attention_factor: float | None = None


Scaling = Linear | Dynamic | Llama3 | Yarn | LongRope


@dataclass(frozen=True, slots=True)
class Frequencies:
    """Radians a position for each rotated pair, and what cosines and sines are multiplied by."""

    per_pair: Tensor
    """[R / 2] float32, R = rotated dimensions of a head."""
    attention_factor: float = 1.0


@dataclass(frozen=True, slots=True)
class Tables:
    """One row for each position; both [P, R / 2] float32."""

    cos: Tensor
    sin: Tensor


def frequencies(rotary_dim: int, theta: float, scaling: Scaling | None, length: int) -> Frequencies:
    """length: of the longest sequence; only `Dynamic` and `LongRope` look at it."""
    exponents = torch.arange(0, rotary_dim, 2, dtype=torch.float64) / rotary_dim
    plain = theta**-exponents
    match scaling:
        case None:
            return Frequencies(plain.float())
        case Linear():
            return Frequencies((plain / scaling.factor).float())
        case Dynamic():
            stretch = scaling.factor * max(length, scaling.trained_length) / scaling.trained_length
            base = theta * (stretch - scaling.factor + 1.0) ** (rotary_dim / (rotary_dim - 2))
            return Frequencies((base**-exponents).float())
        case Llama3():
            return Frequencies(_llama3(plain, scaling).float())
        case Yarn():
            kept = _yarn_kept(rotary_dim, theta, scaling)
            blended = plain * (kept + (1.0 - kept) / scaling.factor)
            return Frequencies(blended.float(), _yarn_attention_factor(scaling))
        case LongRope():
            factors = scaling.long_factors if length > scaling.trained_length else scaling.short_factors
            per_pair = plain / torch.tensor(factors, dtype=torch.float64)
            return Frequencies(per_pair.float(), _longrope_attention_factor(scaling))


def tables(frequencies: Frequencies, num_positions: int, device: torch.device) -> Tables:
    """The angle is a float32 product, as in the models' own code: their weights were trained with its rounding."""
    positions = torch.arange(num_positions, dtype=torch.float32, device=device)
    angles = torch.outer(positions, frequencies.per_pair.to(device))
    return Tables(angles.cos() * frequencies.attention_factor, angles.sin() * frequencies.attention_factor)


def _llama3(plain: Tensor, scaling: Llama3) -> Tensor:
    turns = scaling.trained_length * plain / (2.0 * math.pi)
    spread = scaling.high_freq_factor - scaling.low_freq_factor
    kept = ((turns - scaling.low_freq_factor) / spread).clamp(0.0, 1.0)
    return plain * (kept + (1.0 - kept) / scaling.factor)


def _yarn_kept(rotary_dim: int, theta: float, scaling: Yarn) -> Tensor:
    """1 for pairs that stay as they are, 0 for those slowed by the whole factor, a ramp between."""

    def pair_that_turns(times: float) -> float:
        wavelength = scaling.trained_length / (times * 2.0 * math.pi)
        return rotary_dim * math.log(wavelength) / (2.0 * math.log(theta))

    first, last = pair_that_turns(scaling.beta_fast), pair_that_turns(scaling.beta_slow)
    if scaling.truncates:
        first, last = math.floor(first), math.ceil(last)
    first, last = max(first, 0), min(last, rotary_dim - 1)
    width = last - first if last != first else 0.001
    pairs = torch.arange(rotary_dim // 2, dtype=torch.float64)
    return 1.0 - ((pairs - first) / width).clamp(0.0, 1.0)


def _yarn_attention_factor(scaling: Yarn) -> float:
    def magnitude(weight: float) -> float:
        return 0.1 * weight * math.log(scaling.factor) + 1.0 if scaling.factor > 1.0 else 1.0

    if scaling.attention_factor is not None:
        return scaling.attention_factor
    if scaling.mscale and scaling.mscale_all_dim:
        return magnitude(scaling.mscale) / magnitude(scaling.mscale_all_dim)
    return magnitude(1.0)


def _longrope_attention_factor(scaling: LongRope) -> float:
    if scaling.attention_factor is not None:
        return scaling.attention_factor
    if scaling.factor <= 1.0:
        return 1.0
    return math.sqrt(1.0 + math.log(scaling.factor) / math.log(scaling.trained_length))
