"""DoRA and dropout, written out, beside autograd through the same mask and beside PEFT's DoRA."""

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn

from tui_tuner.kernels.dropout import dropout, dropout_kernel
from tui_tuner.kernels.lora.plain import Dropout, PlainGradients, PlainLora, backward, forward, weight_norms

SEED = torch.tensor(41)


def case(dora: bool, probability: float | None) -> tuple[Tensor, PlainLora, Tensor]:
    shapes = ((9, 24), (40, 24), (4, 24), (40, 4), (40,), (9, 40))
    generator = torch.Generator().manual_seed(3)
    x, base, a, b, bias, dy = (torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes)
    drop = None if probability is None else Dropout(probability, SEED, 5)
    magnitude = torch.rand(40, generator=generator, dtype=torch.float64) + 1 if dora else None
    return x, PlainLora(base, a, b, 2.0, bias, drop, magnitude), dy


def by_formula(x: Tensor, lora: PlainLora, a: Tensor, b: Tensor, magnitude: Tensor | None) -> Tensor:
    mask = 1.0 if lora.dropout is None else dropout(torch.ones_like(x), lora.dropout.probability, SEED, 5)
    adapted = lora.scaling * ((x * mask) @ a.T) @ b.T
    assert lora.bias is not None
    assert lora.base is not None
    if magnitude is None:
        return x @ lora.base.T + adapted + lora.bias
    gain = magnitude / (lora.base + lora.scaling * b @ a).detach().norm(dim=1)
    return x @ lora.base.T + (gain - 1) * ((x * mask) @ lora.base.T) + gain * adapted + lora.bias


@pytest.mark.parametrize("dora", [False, True])
@pytest.mark.parametrize("probability", [None, 0.3])
def test_output_and_gradients_are_those_of_autograd(dora: bool, probability: float | None) -> None:
    x, lora, dy = case(dora, probability)
    leaves = [t.clone().requires_grad_() for t in (x, lora.a, lora.b)]
    magnitude = None if lora.magnitude is None else lora.magnitude.clone().requires_grad_()
    wanted = by_formula(leaves[0], lora, leaves[1], leaves[2], magnitude)
    wanted_gradients = torch.autograd.grad(wanted, leaves if magnitude is None else [*leaves, magnitude], dy)
    added = [torch.zeros_like(t) for t in (lora.a, lora.b)]
    added_magnitude = None if magnitude is None else torch.zeros_like(magnitude)
    dx = backward(dy, x, lora, PlainGradients(added[0], added[1], added_magnitude))
    torch.testing.assert_close(forward(x, lora), wanted.detach(), rtol=1e-6, atol=1e-5)
    got = [dx, *added] if added_magnitude is None else [dx, *added, added_magnitude]
    for ours, theirs in zip(got, wanted_gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-4)


def test_dora_gives_what_peft_gives() -> None:
    torch.manual_seed(0)
    config = LoraConfig(r=4, lora_alpha=8, target_modules=["0"], use_dora=True, init_lora_weights=False)
    model = get_peft_model(nn.Sequential(nn.Linear(24, 40)), config)
    layer = model.base_model.model[0]
    state = {name: tensor.detach() for name, tensor in layer.named_parameters()}
    lora = PlainLora(
        state["base_layer.weight"], state["lora_A.default.weight"], state["lora_B.default.weight"], 2.0,
        state["base_layer.bias"], magnitude=state["lora_magnitude_vector.default.weight"],
    )  # fmt: skip
    x = torch.randn(5, 24)
    torch.testing.assert_close(forward(x, lora), layer(x).detach())


def test_the_norm_of_each_row_needs_no_whole_product() -> None:
    _, lora, _ = case(dora=True, probability=None)
    assert lora.base is not None
    wanted = (lora.base + lora.scaling * lora.b @ lora.a).norm(dim=1)
    torch.testing.assert_close(weight_norms(lora).double(), wanted, rtol=1e-5, atol=1e-5)


def test_the_dropout_kernel_drops_its_share_and_keeps_the_mean() -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    ones = torch.ones(50, 1003, device=device)[:, :1000]
    got = dropout_kernel(ones, 0.2, SEED.to(device), 1)
    assert float((got == 0).float().mean()) == pytest.approx(0.2, abs=0.01)
    assert got.max().item() == pytest.approx(1.25)


def test_the_mask_follows_from_seed_and_stream() -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    ones, seed = torch.ones(4, 500, device=device), SEED.to(device)
    first = dropout_kernel(ones, 0.5, seed, 1)
    assert first.equal(dropout_kernel(ones, 0.5, seed, 1))
    assert not first.equal(dropout_kernel(ones, 0.5, seed, 2))
    assert not first.equal(dropout_kernel(ones, 0.5, seed + 1, 1))
