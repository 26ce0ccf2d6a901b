"""The settings that systems are compared in, by name. No torch, so that the command line can list them."""

from dataclasses import dataclass
from typing import Literal

from tui_tuner.engine.bench.peers.outside.peer_runner.job import Base, Recompute
from tui_tuner.engine.bench.shape_names import ShapeName
from tui_tuner.errors import Problem, RecipeError

Kind = Literal["step", "real lengths", "longest context"]
LengthSet = Literal["gsm8k", "oasst"]
NF4_GIB = 39
"""A budget whose plan stays below the 36.1 GiB that Unsloth takes at 8B where nothing is recomputed."""
RECOMPUTE: tuple[tuple[str, Recompute], ...] = (("recompute", "on"), ("keep", "off"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One setting."""

    name: str
    kind: Kind = "step"
    shape: ShapeName
    base: Base = "bf16"
    recompute: Recompute = "off"
    rows: int = 2
    """Rows of `length` tokens in one micro-batch."""
    accumulation: int = 1
    length: int = 2048
    lengths: LengthSet | None = None
    ragged_rows: int = 16
    """Rows of real lengths in one micro-batch of a peer that pads."""
    memory_gib: int = 0
    """The card that the longest context is looked for on."""
    ours_gib: int = 0
    """What ours may take; 0: all there is. It would hold weights in a faster form too, and more than the peer takes."""
    is_for_tests: bool = False

    @property
    def peers_base(self) -> Base:
        """None of them has an 8-bit base that trains adapters: they run in 16 bit."""
        return "bf16" if self.base == "fp8" else self.base

    @property
    def peers_recompute(self) -> Recompute:
        """Their defaults recompute."""
        return "on" if self.recompute == "auto" else self.recompute


def _steps(shape: ShapeName, rows: int, *bases: Base) -> list[Case]:
    return [
        Case(
            name=f"{shape}-{base}-{word}",
            shape=shape,
            base=base,
            recompute=recompute,
            rows=rows,
            ours_gib=NF4_GIB if base == "nf4" and recompute == "off" else 0,
        )
        for base in bases
        for word, recompute in RECOMPUTE
    ]


def _real(shape: ShapeName, rows: int) -> list[Case]:
    return [
        Case(
            name=f"real-{shape}-{lengths}", kind="real lengths", shape=shape, recompute="on", rows=rows, lengths=lengths
        )
        for lengths in ("gsm8k", "oasst")
    ]


def _context(gib: int) -> Case:
    return Case(
        name=f"context-{gib}gb",
        kind="longest context",
        shape="8b",
        base="nf4",
        recompute="auto",
        rows=1,
        memory_gib=gib,
    )


CASES: tuple[Case, ...] = (
    *_steps("8b", 4, "bf16", "nf4"),
    Case(name="8b-default", shape="8b", recompute="auto", rows=2, accumulation=4),
    Case(name="8b-fp8-keep", shape="8b", base="fp8", rows=4),
    *_steps("1b", 2, "bf16"),
    *_steps("0.5b", 2, "bf16"),
    *_real("1b", 2),
    *_real("8b", 4),
    _context(24),
    _context(80),
    Case(name="tiny-keep", shape="tiny", base="f32", length=64, is_for_tests=True),
    Case(name="tiny-recompute", shape="tiny", base="f32", recompute="on", length=64, is_for_tests=True),
    Case(name="tiny-default", shape="tiny", base="f32", recompute="auto", length=64, accumulation=2, is_for_tests=True),
    Case(
        name="tiny-real", kind="real lengths", shape="tiny", base="f32", length=256, lengths="gsm8k", ragged_rows=4,
        is_for_tests=True,
    ),
)  # fmt: skip


def chosen_cases(names: tuple[str, ...]) -> tuple[Case, ...]:
    """Cases by name or by the beginning of one: "8b-bf16" is two cases; "all" is all but those for tests.

    Raises:
        RecipeError: a name is none.
    """
    found: list[Case] = []
    for name in names:
        matching = [one for one in CASES if one.name == name or one.name.startswith(f"{name}-")]
        if name == "all":
            matching = [one for one in CASES if not one.is_for_tests]
        if not matching:
            known = ", ".join(one.name for one in CASES if not one.is_for_tests)
            raise RecipeError([Problem(path="--case", message=f"{name!r} is no case; there are all, {known}")], "bench")
        found += [one for one in matching if one not in found]
    return tuple(found)
