"""A quantised layer's adapters go beside its weight, and nothing else is touched."""

from collections.abc import Callable

import pytest
import torch

from tui_tuner.kernels.lora.layout import LoraLayout, LoraWeight, Projection, empty_adapters, empty_weight
from tui_tuner.kernels.lora.placing import put_kernel, put_reference

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
LAYOUTS = [
    LoraLayout(24, (Projection(40, 4),)),
    LoraLayout(1030, (Projection(33, 4), Projection(16, 3), Projection(16, 5))),
    LoraLayout(32, (Projection(20, 100), Projection(12, 0), Projection(12, 50))),
]


@pytest.mark.parametrize("put", [put_kernel, put_reference])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_adapters_lie_beside_the_weight(layout: LoraLayout, dtype: torch.dtype, put: Callable[..., None]) -> None:
    held, scratch = empty_adapters(layout, dtype, DEVICE), empty_weight(layout, dtype, DEVICE)
    held.a.normal_()
    held.b.normal_()
    scratch.full.fill_(7.0)
    put(held, scratch)
    assert scratch.a.equal(held.a)
    assert scratch.b.equal(held.b)
    assert (scratch.base == 7.0).all()
    assert (scratch.full[layout.out_features :, layout.in_features :] == 7.0).all()


@pytest.mark.parametrize("put", [put_kernel, put_reference])
def test_a_layer_without_adapters_has_nothing_to_put(put: Callable[..., None]) -> None:
    layout = LoraLayout(24, (Projection(40, 0),))
    scratch = LoraWeight(layout, torch.full((40, 24), 7.0, device=DEVICE))
    put(empty_adapters(layout, torch.float32, DEVICE), scratch)
    assert (scratch.full == 7.0).all()
