"""Which implementation of attention a layer uses, and why. Pure: what the machine can do is part of the question."""

from dataclasses import dataclass
from typing import Literal

import torch

Path = Literal["reference", "cpu", "cudnn", "flash", "efficient", "triton"]
"""cudnn, flash, efficient: torch's own kernels, called directly so that backward needs no second forward. triton: ours.
cpu: torch's kernel for processors, document by document. reference: plain torch with all scores in memory."""

AMPERE, HOPPER = (8, 0), (9, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What attention runs on."""

    capability: tuple[int, int] | None
    """Of the CUDA device; None on a CPU."""
    has_flash: bool = True
    """Whether this build of torch holds flash attention."""
    has_cudnn: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What attention is asked to do."""

    dtype: torch.dtype
    head_dim: int
    max_length: int
    packed: bool = False
    """Whether documents have different lengths."""
    window: int | None = None
    """Each token sees this many tokens, itself included; None for all before it."""
    softcap: float | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    path: Path
    reason: str


def choose(question: Question, machine: Machine) -> Choice:
    """The fastest path that can do it."""
    if machine.capability is None:
        return _path_on_cpu(question)
    if question.dtype == torch.float64:
        return Choice("reference", "no fast kernel for float64")
    if question.dtype == torch.bfloat16 and machine.capability < AMPERE:
        return Choice("reference", "bfloat16 needs compute capability 8.0 for every fast kernel")
    if question.softcap is not None:
        return Choice("triton", "capped scores: no library kernel has them")
    if question.head_dim > 256 or question.head_dim % 8:
        return Choice("triton", f"heads of {question.head_dim}: library kernels take multiples of 8 up to 256")
    return _library_path(question, machine, machine.capability)


def _path_on_cpu(question: Question) -> Choice:
    if question.softcap is None:
        return Choice("cpu", "torch's kernel for processors, one document after the other")
    return Choice("reference", "capped scores: torch's kernel for processors does not have them")


def _library_path(question: Question, machine: Machine, capability: tuple[int, int]) -> Choice:
    if question.dtype == torch.float32:
        return Choice("efficient", "float32: flash and cuDNN take 16-bit types only")
    if capability < AMPERE:
        return Choice("efficient", "flash and cuDNN need compute capability 8.0")
    is_plain = not question.packed and not is_windowed(question.window, question.max_length)
    if is_plain and capability >= HOPPER and question.head_dim <= 128 and machine.has_cudnn:
        return Choice("cudnn", "a plain causal batch on Hopper or later: cuDNN is the fastest there")
    if not machine.has_flash:
        return Choice("efficient", "this build of torch has no flash attention")
    if question.packed:
        return Choice("flash", "documents of different lengths: flash takes their boundaries")
    return Choice("flash", "sliding window" if not is_plain else "a plain causal batch")


def is_windowed(window: int | None, max_length: int) -> bool:
    """Whether a window hides anything at all."""
    return window is not None and window < max_length
