"""How a kernel says whether it computes right on this machine: one `Check` per operation, case and dtype.

Each kernel file has `checks(device)`, a generator of these; they are made of small random tensors and never train.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison with float64: it passes when the error is within what is allowed."""

    name: str
    """The operation and the case, such as "cross entropy, softcap"."""
    dtype: str
    """Of the operation's inputs, as torch prints it without its prefix: "bfloat16"."""
    error: float
    """Measured; NaN (which never passes) where the result is not finite."""
    allowed: float
    milliseconds: float | None = None
    """Of one call on this machine; None where only the result was looked at."""
    gigabytes_per_second: float | None = None
    failure: str = ""
    """What was raised instead of a result."""

    @property
    def passed(self) -> bool:
        """False for NaN as well."""
        return self.error <= self.allowed


def relative_error(got: Tensor, wanted: Tensor) -> float:
    """||got - wanted|| / ||wanted|| over all elements, in float64; the plain norm of `got` where wanted is zero."""
    wanted = wanted.double()
    distance, size = (got.double() - wanted).norm(), wanted.norm()
    return float(distance / torch.where(size > 0, size, torch.ones_like(size)))


def leaf(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """A copy of its own in `dtype`, that takes gradients."""
    return tensor.detach().to(dtype, copy=True).requires_grad_()


def dtype_name(dtype: torch.dtype) -> str:
    """torch.bfloat16 as "bfloat16"."""
    return str(dtype).removeprefix("torch.")


def check_against(name: str, got: Tensor, wanted: Tensor, usual: Tensor, floor: float = 1e-6) -> Check:
    """Allowed: 1.5 times the error of `usual` (plain torch in the same dtype), and never below `floor`."""
    allowed = max(1.5 * relative_error(usual, wanted), floor)
    return Check(name, dtype_name(got.dtype), relative_error(got, wanted), allowed)


def timed(check: Check, call: Callable[[], object], num_bytes: int) -> Check:
    """The check with the time of `call`, which moves `num_bytes`; unchanged on a machine without CUDA."""
    if not torch.cuda.is_available():
        return check
    from triton.testing import do_bench

    # Its default empties the cache before each call, and it lets the host run ahead of the device.
    milliseconds = do_bench(call, warmup=5, rep=25, return_mode="median")
    return replace(check, milliseconds=milliseconds, gigabytes_per_second=num_bytes / milliseconds / 1e6)
