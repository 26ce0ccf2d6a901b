"""Products of 16-bit matrices whose sums stay in float32, by cuBLAS.

It gives the same bits in every run on one kind of GPU with one version of the library, as long as streams do not share
a work space, and torch gives each stream its own.
"""

import torch
from torch import Tensor


def wide_product(left: Tensor, right: Tensor, dtype: torch.dtype) -> Tensor:
    """left @ right in `dtype`, float32 where the factors have 16 bits: no 16-bit rounding in between."""
    if _mixes(left, dtype):
        return torch.mm(left, right, out_dtype=dtype)
    return left.to(dtype) @ right.to(dtype)


def add_product(total: Tensor, left: Tensor, right: Tensor, scale: float = 1.0) -> None:
    """total += scale * left @ right, where `total` may be float32 and the factors 16-bit."""
    if _mixes(left, total.dtype):
        torch.addmm(total, left, right, out_dtype=total.dtype, alpha=scale, out=total)
    else:
        total.addmm_(left.to(total.dtype), right.to(total.dtype), alpha=scale)


def _mixes(left: Tensor, dtype: torch.dtype) -> bool:
    return left.is_cuda and left.element_size() == 2 and dtype == torch.float32
