"""Where base weight and adapters lie in one buffer, so that a product with LoRA is one matrix product.

    full [out + R, in + R]     rows < out: [W | s B]     rows >= out: [A | 0]

Projections that read one input (q, k, v; gate, up) are stacked: their W and A one below the other, their B on a block
diagonal. R is the sum of their ranks, rounded up; what is not an adapter's stays zero. B is kept times its scaling.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from tui_tuner.kernels.fp8_rows import Fp8Rows

RANK_MULTIPLE = 64
"""Rounds R up, so that rows begin at multiples of 128 bytes; 16 was no faster (docs/performance.md)."""


@dataclass(frozen=True, slots=True)
class Projection:
    """One linear layer; rank 0 where it has no adapter (or one that the plain path serves)."""

    out_features: int
    rank: int
    scaling: float = 1.0
    """alpha / rank, or alpha / sqrt(rank) for rank-stabilised adapters."""


@dataclass(frozen=True, slots=True)
class LoraLayout:
    """The shape of such a buffer."""

    in_features: int
    projections: tuple[Projection, ...]

    @property
    def out_features(self) -> int:
        return sum(p.out_features for p in self.projections)

    @property
    def rank(self) -> int:
        """Sum of the ranks."""
        return sum(p.rank for p in self.projections)

    @property
    def padded_rank(self) -> int:
        """R."""
        return -(-self.rank // RANK_MULTIPLE) * RANK_MULTIPLE

    def rows(self, index: int) -> slice:
        """Of one projection, among the outputs."""
        start = sum(p.out_features for p in self.projections[:index])
        return slice(start, start + self.projections[index].out_features)

    def ranks(self, index: int) -> slice:
        """Of one projection, among the R."""
        start = sum(p.rank for p in self.projections[:index])
        return slice(start, start + self.projections[index].rank)


@dataclass(frozen=True, slots=True)
class LoraWeight:
    """One such buffer, and a bias where the base has one."""

    layout: LoraLayout
    full: Tensor
    bias: Tensor | None = None
    """[out]."""

    @property
    def base(self) -> Tensor:
        """[out, in]."""
        return self.full[: self.layout.out_features, : self.layout.in_features]

    @property
    def a(self) -> Tensor:
        """[R, in]."""
        return self.full[self.layout.out_features :, : self.layout.in_features]

    @property
    def b(self) -> Tensor:
        """[out, R], times the scalings."""
        return self.full[: self.layout.out_features, self.layout.in_features :]

    @property
    def base_and_b(self) -> Tensor:
        """[out, in + R]: what forward multiplies with."""
        return self.full[: self.layout.out_features]

    @property
    def base_and_a(self) -> Tensor:
        """[out + R, in]: what backward multiplies with."""
        return self.full[:, : self.layout.in_features]

    def a_of(self, index: int) -> Tensor:
        """[rank, in] of one projection, the place of its working copy."""
        return self.a[self.layout.ranks(index)]

    def b_of(self, index: int) -> Tensor:
        """[out of it, rank] of one projection, the place of its working copy (with `copy_scale` its scaling)."""
        return self.b[self.layout.rows(index), self.layout.ranks(index)]


def empty_weight(
    layout: LoraLayout, dtype: torch.dtype, device: torch.device, bias: Tensor | None = None
) -> LoraWeight:
    """A buffer of zeros, to be filled through its views; also the scratch that quantised layers take turns in."""
    size = (layout.out_features + layout.padded_rank, layout.in_features + layout.padded_rank)
    return LoraWeight(layout, torch.zeros(size, dtype=dtype, device=device), bias)


@dataclass(frozen=True, slots=True)
class Extended:
    """A tensor of tokens with the R columns that belong to it: x with x A^T, or dy with s dy B."""

    wide: Tensor
    """[T, in] or [T, out]."""
    ranks: Tensor
    """[T, R], filled by the products."""
    joined: Tensor | None = None
    """Both beside each other, where they are parts of one buffer."""
    eight: Fp8Rows | None = None
    """What is wide, in 8 bits, where a product reads it so and whoever made it has quantised it."""

    @classmethod
    def of(cls, buffer: Tensor, features: int) -> "Extended":
        """The first `features` columns of a buffer, and the others."""
        return cls(buffer[:, :features], buffer[:, features:], buffer)

    def rows(self, rows: slice) -> "Extended":
        """Views of some tokens."""
        joined = None if self.joined is None else self.joined[rows]
        return Extended(
            self.wide[rows], self.ranks[rows], joined, None if self.eight is None else self.eight.rows(rows)
        )

    def with_ranks(self, ranks: int) -> "Extended":
        """Views with room for `ranks` only, of a buffer that has more."""
        if self.joined is None:
            return Extended(self.wide, self.ranks[:, :ranks])
        return Extended.of(self.joined[:, : self.wide.shape[1] + ranks], self.wide.shape[1])


@dataclass(frozen=True, slots=True)
class Adapters:
    """Working copies of the adapters of a quantised layer, which has no buffer of its own."""

    a: Tensor
    """[R, in]."""
    b: Tensor
    """[out, R], times the scalings, on the block diagonal."""


def empty_adapters(layout: LoraLayout, dtype: torch.dtype, device: torch.device) -> Adapters:
    """Zeros."""
    ranks = layout.padded_rank
    return Adapters(
        torch.zeros(ranks, layout.in_features, dtype=dtype, device=device),
        torch.zeros(layout.out_features, ranks, dtype=dtype, device=device),
    )


@dataclass(frozen=True, slots=True)
class AdapterGradient:
    """Where the gradients of one projection's adapter go, and which parts of the products they are."""

    a: Tensor
    """[rank, in], a view of the flat buffer."""
    b: Tensor
    """[out of it, rank], likewise."""
    ranks: slice
    """Among the R."""
    rows: slice
    """Among the outputs."""
    scaling: float


@dataclass(frozen=True, slots=True)
class GradientPlaces:
    """Where gradients of the adapters of one `LoraWeight` go in a flat buffer; made once."""

    flat: Tensor
    """float32 [size], added to."""
    adapters: tuple[AdapterGradient, ...]
    """Of the projections that have one."""
    starts: tuple[tuple[int, int], ...]
    """Place of A and of B of each projection."""


def gradient_places(layout: LoraLayout, flat: Tensor, starts: tuple[tuple[int, int], ...]) -> GradientPlaces:
    """starts: where A and B of each projection begin in `flat`; anything for a projection of rank 0."""
    adapters = []
    for index, (projection, (a_start, b_start)) in enumerate(zip(layout.projections, starts, strict=True)):
        if projection.rank == 0:
            continue
        a_size, b_size = (projection.rank * features for features in (layout.in_features, projection.out_features))
        a = flat[a_start : a_start + a_size].view(projection.rank, layout.in_features)
        b = flat[b_start : b_start + b_size].view(projection.out_features, projection.rank)
        adapters.append(AdapterGradient(a, b, layout.ranks(index), layout.rows(index), projection.scaling))
    return GradientPlaces(flat, tuple(adapters), starts)
