"""Loss, LoRA, NF4, optimizer and fp8 kernels compiled for a real GPU: exactness in all dtypes, sizes beyond 2^31,
no waiting for the device, CUDA graphs, and the same bits twice."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch
from bitsandbytes.functional import dequantize_4bit, quantize_4bit
from torch import Tensor
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile

from tui_tuner.kernels import adamw, cross_entropy, dropout, fp8, fp8_rows, linear_cross_entropy, nf4
from tui_tuner.kernels.checking import Check, relative_error
from tui_tuner.kernels.flat_parameters import FlatParameter, FlatParameters, flat_parameters, refresh_copies
from tui_tuner.kernels.linear_cross_entropy import Head, HeadGradients, HeadOptions, head_loss
from tui_tuner.kernels.lora import gradients as adapter_gradients
from tui_tuner.kernels.lora import linear as lora_linear
from tui_tuner.kernels.lora import placing, thin_product
from tui_tuner.kernels.lora import plain as lora_plain
from tui_tuner.kernels.lora.layout import (
    Extended,
    GradientPlaces,
    LoraLayout,
    LoraWeight,
    Projection,
    empty_weight,
    gradient_places,
)
from tui_tuner.kernels.wide_product import add_product

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU; none is visible"),
]

CUDA = torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
BF16 = torch.bfloat16
MODULES = [
    adamw,
    adapter_gradients,
    cross_entropy,
    dropout,
    fp8,
    linear_cross_entropy,
    lora_linear,
    lora_plain,
    nf4,
    placing,
    thin_product,
]
QKV = LoraLayout(1024, (Projection(1024, 16, 2.0), Projection(256, 16, 2.0), Projection(256, 16, 2.0)))


@contextmanager
def no_waiting() -> Iterator[None]:
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def randn(*shape: int, seed: int = 0, dtype: torch.dtype = BF16) -> Tensor:
    generator = torch.Generator(CUDA).manual_seed(seed)
    return torch.randn(*shape, generator=generator, device=CUDA, dtype=dtype)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__.rpartition(".")[2])
def test_every_check_passes(module: object) -> None:
    failed: list[Check] = [check for check in module.checks(CUDA) if not check.passed]  # type: ignore[attr-defined]
    assert not failed


class Step:
    """The kernels of a training step on one layer and a head, on buffers that stay where they are."""

    def __init__(self) -> None:
        self.weight: LoraWeight = empty_weight(QKV, BF16, CUDA)
        self.weight.base.copy_(randn(QKV.out_features, 1024) / 32)
        parameters = []
        for index, projection in enumerate(QKV.projections):
            parameters.append(FlatParameter((16, 1024), 0, self.weight.a_of(index)))
            parameters.append(FlatParameter((projection.out_features, 16), 0, self.weight.b_of(index), 2.0))
        self.flat: FlatParameters = flat_parameters(parameters, CUDA)
        self.flat.values.copy_(randn(len(self.flat.values), seed=1, dtype=torch.float32) / 32)
        refresh_copies(self.flat)
        starts = tuple(zip(self.flat.starts[::2], self.flat.starts[1::2], strict=True))
        self.places: GradientPlaces = gradient_places(QKV, self.flat.gradients, starts)
        self.state = adamw.adamw_state(self.flat, [0.01])
        self.state.groups[:, 0] = 1e-3
        self.x = Extended.of(randn(512, 1024 + QKV.padded_rank, seed=2), 1024)
        self.y = torch.empty(512, QKV.out_features, dtype=BF16, device=CUDA)
        # One row more: head_loss writes what belongs to no token there.
        self.dy_buffer = torch.zeros(513, QKV.out_features + QKV.padded_rank, dtype=BF16, device=CUDA)
        self.head = Head(randn(4000, QKV.out_features, seed=3) / 32)
        self.labels = torch.randint(0, 4000, (512,), generator=torch.Generator().manual_seed(4))
        self.labels[::3] = -100
        self.labels = self.labels.to(CUDA)
        self.dx = torch.empty(512, 1024, dtype=BF16, device=CUDA)
        self.loss = torch.zeros((), device=CUDA)

    def run(self) -> None:
        lora_linear.forward(self.x, self.weight, self.y)
        gradients = HeadGradients(self.dy_buffer[:, : QKV.out_features])
        self.loss.copy_(head_loss(self.y, self.head, self.labels, 400, gradients).loss)
        dy = Extended.of(self.dy_buffer[:512], QKV.out_features)
        lora_linear.backward(dy, self.x, self.weight, self.places, self.dx)
        adamw.adamw_step(self.flat, self.state, adamw.AdamwOptions())


def losses_of(run: Callable[[], None], step: Step, steps: int) -> list[float]:
    losses = []
    for _ in range(steps):
        run()
        losses.append(float(step.loss))
    return losses


def test_a_step_never_waits_for_the_device() -> None:
    step = Step()
    step.run()
    with no_waiting():
        step.run()


def test_a_graph_of_the_step_computes_what_the_step_computes() -> None:
    eager, captured = Step(), Step()
    wanted = losses_of(eager.run, eager, 6)
    warm = losses_of(captured.run, captured, 2)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured.run()
    # Not bit by bit: under capture cuBLAS has another work space, and may choose another way to add up.
    assert warm + losses_of(graph.replay, captured, 4) == pytest.approx(wanted, rel=1e-3)
    assert wanted[-1] < wanted[0]
    assert relative_error(captured.flat.values, eager.flat.values) < 1e-3


def test_two_runs_give_the_same_bits() -> None:
    first, second = Step(), Step()
    for step in (first, second):
        losses_of(step.run, step, 3)
    assert first.flat.values.equal(second.flat.values)
    assert first.weight.full.equal(second.weight.full)


def test_products_into_spare_columns_copy_nothing() -> None:
    step = Step()
    step.run()
    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        lora_linear.forward(step.x, step.weight, step.y)
        torch.cuda.synchronize()
    kernels = [event.key for event in profiler.key_averages() if event.device_type.name == "CUDA"]
    assert kernels
    assert not [name for name in kernels if "elementwise" in name or "copy" in name.lower()]


def test_the_loss_is_as_exact_as_torch_on_whole_logits() -> None:
    hidden, weight = randn(777, 512), randn(32003, 512, seed=1) / 16
    labels = torch.randint(0, 32003, (777,), device=CUDA)
    labels[::5] = -100

    def result(function: Callable[..., linear_cross_entropy.LossSum], *tensors: Tensor) -> tuple[Tensor, ...]:
        leaves = [tensor.detach().requires_grad_() for tensor in tensors]
        loss = function(*leaves, labels, HeadOptions()).loss
        return loss.detach(), *torch.autograd.grad(loss, leaves)

    exact = result(linear_cross_entropy.linear_cross_entropy_reference, hidden.double(), weight.double())
    usual = result(linear_cross_entropy.linear_cross_entropy_reference, hidden, weight)
    ours = result(linear_cross_entropy.linear_cross_entropy, hidden, weight)
    errors = [[relative_error(got, wanted) for got, wanted in zip(r, exact, strict=True)] for r in (ours, usual)]
    assert all(mine <= max(1.5 * theirs, 1e-5) for mine, theirs in zip(*errors, strict=True)), errors


def test_gradients_of_a_trained_head_are_added_in_float32() -> None:
    left, right = randn(3000, 4096), randn(4096, 256, seed=1)
    total = torch.full((3000, 256), 1000.0, device=CUDA)
    add_product(total, left, right)
    assert relative_error(total, 1000 + left.double() @ right.double()) < 1e-5


def test_logits_of_more_than_two_to_the_31_elements() -> None:
    rows, vocabulary = 2**14 + 3, 2**17
    logits = torch.empty(rows, vocabulary, dtype=BF16, device=CUDA).normal_()
    labels = torch.randint(0, vocabulary, (rows,), device=CUDA)
    last, last_label = logits[-2:].clone(), labels[-2:]
    got = cross_entropy.cross_entropy_rows(logits, labels, HeadOptions(), overwrite=True)
    wanted = -functional.cross_entropy(last.double(), last_label, reduction="none")
    torch.testing.assert_close(got.log_probabilities[-2:].double(), wanted, rtol=1e-5, atol=1e-5)
    cross_entropy.cross_entropy_rows_reference(last, last_label, HeadOptions(), overwrite=True)
    assert relative_error(logits[-2:], last) < 1e-2


def test_a_packed_weight_of_more_than_two_to_the_31_values() -> None:
    weight = nf4.random_weight((2**15 + 1, 2**16), CUDA)
    buffer = torch.empty(2**15 + 1, 2**16 + 64, dtype=BF16, device=CUDA)[:, : 2**16]
    nf4.dequantize(weight, buffer)
    first_byte, first_scale = 2**15 * 2**16 // 2, 2**15 * 2**16 // 64
    assert weight.outer is not None
    outer = nf4.OuterScales(
        weight.outer.code, weight.outer.scales[first_scale // 256 :], weight.outer.offset, weight.outer.block_size
    )
    last_row = nf4.Nf4Weight(
        weight.packed[first_byte:], weight.scales[first_scale:], weight.levels, (1, 2**16), 64, outer
    )
    assert buffer[-1:].equal(nf4.dequantize_reference(last_row, torch.empty(1, 2**16, dtype=BF16, device=CUDA)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, BF16])
@pytest.mark.parametrize("shape", [(14336, 4096), (4096, 14336), (999, 1000), (1024, 896)])
@pytest.mark.parametrize("nested", [True, False])
def test_all_bits_of_nf4_are_those_of_bitsandbytes(shape: tuple[int, int], dtype: torch.dtype, nested: bool) -> None:
    stored, state = quantize_4bit(randn(*shape, dtype=dtype), quant_type="nf4", compress_statistics=nested)
    wanted, weight = dequantize_4bit(stored, state), nf4.nf4_weight(stored, state)
    assert nf4.dequantize(weight, torch.empty_like(wanted)).equal(wanted)
    spaced = torch.empty(shape[0], shape[1] + 64, dtype=dtype, device=CUDA)[:, : shape[1]]
    assert nf4.dequantize(weight, spaced).equal(wanted)


def test_a_hundred_steps_of_adamw_end_where_torch_ends() -> None:
    flat = flat_parameters([FlatParameter((300, 200)), FlatParameter((7, 1111))], CUDA)
    flat.values.normal_(generator=torch.Generator(CUDA).manual_seed(0))
    leaves = [flat.value(index).clone().requires_grad_() for index in range(2)]
    optimizer = torch.optim.AdamW(leaves, lr=1e-3, weight_decay=0.1, foreach=False)
    state = adamw.adamw_state(flat, [0.1])
    state.groups[:, 0] = 1e-3
    for step in range(100):
        for index, leaf in enumerate(leaves):
            leaf.grad = randn(*leaf.shape, seed=10 * step + index, dtype=torch.float32)
            flat.gradient(index).copy_(leaf.grad)
        torch.nn.utils.clip_grad_norm_(leaves, 1.0)
        optimizer.step()
        adamw.adamw_step(flat, state, adamw.AdamwOptions())
    assert max(relative_error(flat.value(index), leaf.detach()) for index, leaf in enumerate(leaves)) < 1e-6


@pytest.mark.skipif(not fp8.is_supported(CUDA), reason="needs compute capability 8.9 for fp8 products")
def test_fp8_backward_is_the_same_with_a_kept_and_a_made_transpose() -> None:
    w, dy = randn(768, 512), randn(200, 768, seed=1)
    results = [torch.empty(200, 512, dtype=BF16, device=CUDA) for _ in range(2)]
    kept, made = (fp8.quantized_weight(w, keep_transposed=keep) for keep in (True, False))
    rows = fp8_rows.quantize_rows(dy, kept.column_factors)
    fp8.backward(rows, kept, results[0])
    scratch = torch.empty(512, 768, dtype=fp8_rows.DTYPE, device=CUDA)
    fp8.backward(rows, made, results[1], scratch)
    assert results[0].equal(results[1])
