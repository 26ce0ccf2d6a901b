"""Loss, LoRA, NF4, AdamW and fp8 kernels beside torch and bitsandbytes, at the shapes of an 8B and a 1B model.

Each is timed alone with an emptied cache; TFLOP/s count the base products only, so that ways of adding LoRA compare.
"""

import argparse
import json
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from types import ModuleType

import torch
import triton
from bitsandbytes.functional import dequantize_4bit, quantize_4bit
from torch import Tensor
from torch.nn import functional
from triton.testing import do_bench

from tui_tuner.kernels import adamw, cross_entropy, fp8, fp8_rows, linear_cross_entropy, nf4
from tui_tuner.kernels.flat_parameters import FlatParameter, FlatParameters, flat_parameters
from tui_tuner.kernels.linear_cross_entropy import Head, HeadGradients, HeadOptions, head_loss
from tui_tuner.kernels.lora import gradients as adapter_gradients
from tui_tuner.kernels.lora import layout as lora_layout
from tui_tuner.kernels.lora import linear as lora_linear
from tui_tuner.kernels.lora.layout import Extended, GradientPlaces, LoraLayout, LoraWeight, Projection, empty_weight
from tui_tuner.kernels.wide_product import add_product

CUDA, BF16, RANK = torch.device("cuda"), torch.bfloat16, 16
ROUNDS = 5


@dataclass(frozen=True)
class Shape:
    """What of a model matters here."""

    name: str
    tokens: int
    hidden: int
    keys: int
    wide: int
    vocabulary: int
    layers: int

    def products(self) -> dict[str, LoraLayout]:
        def layout(inputs: int, *outputs: int) -> LoraLayout:
            return LoraLayout(inputs, tuple(Projection(out, RANK, 2.0) for out in outputs))

        return {
            "qkv": layout(self.hidden, self.hidden, self.keys, self.keys),
            "o": layout(self.hidden, self.hidden),
            "gate_up": layout(self.hidden, self.wide, self.wide),
            "down": layout(self.wide, self.hidden),
        }


SHAPES = [
    Shape("8B", 8192, 4096, 1024, 14336, 128_256, 32),
    Shape("1B", 4096, 2048, 512, 8192, 128_256, 16),
]


@dataclass(frozen=True)
class Row:
    """One timing."""

    model: str
    case: str
    way: str
    milliseconds: float
    tflops: float | None
    terabytes_per_second: float | None


class Table:
    """Prints each row as it comes, and writes all that there are, so that a fault of the device loses none."""

    def __init__(self, path: Path) -> None:
        self.rows: list[Row] = []
        self.path = path

    def add(
        self, where: tuple[str, str, str], call: Callable[[], object], flops: float = 0, num_bytes: float = 0
    ) -> None:
        self._add(where, float(do_bench(call, return_mode="median")), flops, num_bytes)

    def add_in_turns(self, where: tuple[str, str], calls: dict[str, Callable[[], object]], flops: float) -> None:
        """Ways that are compared, each measured several times and in turns: the clock sags as the device heats up."""
        times: dict[str, list[float]] = {way: [] for way in calls}
        for _ in range(ROUNDS):
            for way, call in calls.items():
                times[way].append(float(do_bench(call, rep=100 // ROUNDS, return_mode="median")))
        for way, measured in times.items():
            self._add((*where, way), statistics.median(measured), flops, 0)

    def _add(self, where: tuple[str, str, str], milliseconds: float, flops: float, num_bytes: float) -> None:
        tflops = flops / milliseconds / 1e9 if flops else None
        speed = num_bytes / milliseconds / 1e9 if num_bytes else None
        self.rows.append(Row(*where, milliseconds, tflops, speed))
        rates = f"{tflops or 0:8.0f} TFLOP/s" if flops else f"{speed or 0:8.2f} TB/s" if num_bytes else ""
        print(f"{where[0]:3} {where[1]:18} {where[2]:44} {milliseconds:9.4f} ms {rates}", flush=True)
        machine = {"gpu": torch.cuda.get_device_name(), "torch": torch.__version__, "triton": triton.__version__}
        self.path.write_text(json.dumps({"machine": machine, "rows": [asdict(row) for row in self.rows]}, indent=1))


@contextmanager
def swept(module: ModuleType, **constants: int) -> Iterator[None]:
    """Our own modules' tile sizes, for the time of one measurement."""
    before = {name: getattr(module, name) for name in constants}
    for name, value in constants.items():
        setattr(module, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(module, name, value)


def randn(*shape: int) -> Tensor:
    return torch.randn(*shape, device=CUDA, dtype=BF16) * 0.02


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", help="folder for loss_and_lora.json")
    parser.add_argument("--only", default="loss,head,lora,gradients,nf4,adamw,fp8", help="parts, separated by commas")
    options = parser.parse_args()
    parts: dict[str, Callable[[Shape, Table], None]] = {
        "loss": time_losses,
        "head": time_heads,
        "lora": time_lora,
        "gradients": time_gradients,
        "nf4": time_nf4,
        "adamw": time_adamw,
        "fp8": time_fp8,
    }
    table = Table(Path(options.out) / "loss_and_lora.json")
    for name in options.only.split(","):
        for shape in SHAPES:
            try:
                parts[name](shape, table)
            except RuntimeError as error:
                print(f"{shape.name:3} {name:18} stopped: {str(error).partition(chr(10))[0]}", flush=True)
            torch.cuda.empty_cache()


def time_losses(shape: Shape, table: Table) -> None:
    """Rows of logits that are there: one read and one write each are counted."""
    rows = 2048
    logits = randn(rows, shape.vocabulary)
    labels = torch.randint(0, shape.vocabulary, (rows,), device=CUDA)
    num_bytes = 2 * logits.nbytes
    where = (shape.name, f"loss of {rows} rows")
    for block, elements in ((4096, 16), (8192, 16), (8192, 32), (16384, 16), (16384, 32), (32768, 32)):
        with swept(cross_entropy, ROW_BLOCK=block, ELEMENTS_PER_THREAD=elements):
            call = lambda: cross_entropy.cross_entropy_rows(logits, labels, HeadOptions(), overwrite=True)  # noqa: E731
            table.add((*where, f"ours, block {block}, {elements} a thread"), call, num_bytes=num_bytes)
    capped = HeadOptions(softcap=30.0)
    call = lambda: cross_entropy.cross_entropy_rows(logits, labels, capped, overwrite=True)  # noqa: E731
    table.add((*where, "ours, softcap"), call, num_bytes=num_bytes)
    leaf = logits.detach().requires_grad_()

    def eager() -> None:
        torch.autograd.grad(functional.cross_entropy(leaf.float(), labels, reduction="sum"), leaf)

    table.add((*where, "torch, float32 and autograd"), eager, num_bytes=num_bytes)


def time_heads(shape: Shape, table: Table) -> None:
    """Head and loss with the gradient of the hidden states; two products of 2 T D V."""
    hidden, weight = randn(shape.tokens, shape.hidden), randn(shape.vocabulary, shape.hidden)
    labels = torch.randint(0, shape.vocabulary, (shape.tokens,), device=CUDA)
    flops = 4 * shape.tokens * shape.hidden * shape.vocabulary
    where = (shape.name, f"head, {shape.tokens} rows")
    gradients = HeadGradients(torch.empty(shape.tokens + 1, shape.hidden, device=CUDA, dtype=BF16))
    head = Head(weight)
    for mebibytes in (128, 256, 512, 1024, 2048):
        with swept(linear_cross_entropy, CHUNK_BYTES=mebibytes * 2**20):
            call = lambda: head_loss(hidden, head, labels, shape.tokens, gradients)  # noqa: E731
            table.add((*where, f"ours, chunks of {mebibytes} MiB"), call, flops)
    trained = HeadGradients(gradients.hidden_ND, torch.zeros(weight.shape, device=CUDA))
    call = lambda: head_loss(hidden, head, labels, shape.tokens, trained)  # noqa: E731
    table.add((*where, "ours, head trained (3 products)"), call, 1.5 * flops)
    masked = labels.masked_fill(torch.rand(shape.tokens, device=CUDA) < 0.75, -100)
    bound = -(-int((masked != -100).sum()) // 128) * 128
    call = lambda: head_loss(hidden, head, masked, bound, gradients)  # noqa: E731
    table.add((*where, "ours, a quarter of the rows supervised"), call, flops * bound / shape.tokens)
    leaf = hidden.detach().requires_grad_()

    def eager() -> None:
        loss = functional.cross_entropy((leaf @ weight.T).float(), labels, reduction="sum")
        torch.autograd.grad(loss, leaf)

    table.add((*where, "torch, whole logits"), eager, flops)
    table.add((*where, "the two products alone"), _products_alone(hidden, weight), flops)


def _products_alone(hidden: Tensor, weight: Tensor) -> Callable[[], None]:
    logits = torch.empty(2048, len(weight), device=CUDA, dtype=BF16)
    out = torch.empty_like(hidden)

    def run() -> None:
        for start in range(0, len(hidden), 2048):
            torch.mm(hidden[start : start + 2048], weight.T, out=logits)
            torch.mm(logits, weight, out=out[start : start + 2048])

    return run


@dataclass(frozen=True)
class Case:
    """One product with LoRA, all buffers in place."""

    layout: LoraLayout
    weight: LoraWeight
    x: Extended
    dy: Extended
    places: GradientPlaces
    out: Tensor
    dx: Tensor

    @classmethod
    def of(cls, layout: LoraLayout, tokens: int) -> "Case":
        weight = empty_weight(layout, BF16, CUDA)
        weight.full.normal_().mul_(0.02)
        starts, end = [], 0
        for projection in layout.projections:
            a_end = end + RANK * layout.in_features
            starts.append((end, a_end))
            end = a_end + RANK * projection.out_features
        places = lora_layout.gradient_places(layout, torch.zeros(end, device=CUDA), tuple(starts))
        ranks, inputs, outputs = layout.padded_rank, layout.in_features, layout.out_features
        x, dy = (Extended.of(randn(tokens, features + ranks), features) for features in (inputs, outputs))
        return cls(layout, weight, x, dy, places, randn(tokens, outputs), randn(tokens, inputs))


def apart(tensor: Extended) -> Extended:
    return Extended(tensor.wide.contiguous(), tensor.ranks.contiguous())


def time_lora(shape: Shape, table: Table) -> None:
    for name, layout in shape.products().items():
        flops = 2 * shape.tokens * layout.in_features * layout.out_features
        forward: dict[str, Callable[[], object]] = {}
        backward: dict[str, Callable[[], object]] = {}
        for multiple in (64, 16):
            with swept(lora_layout, RANK_MULTIPLE=multiple):
                case = Case.of(layout, shape.tokens)
            for x, dy, form in ((case.x, case.dy, "augmented"), (apart(case.x), apart(case.dy), "split")):
                way = f"{form}, ranks in {multiple}s"
                forward[way] = partial(lora_linear.forward, x, case.weight, case.out)
                backward[way] = partial(lora_linear.backward, dy, x, case.weight, case.places, case.dx)
        _plain_ways(Case.of(layout, shape.tokens), forward, backward)
        table.add_in_turns((shape.name, f"{name}, forward"), forward, flops)
        table.add_in_turns((shape.name, f"{name}, backward"), backward, flops)


def _plain_ways(c: Case, forward: dict[str, Callable[[], object]], backward: dict[str, Callable[[], object]]) -> None:
    """The base products alone, and each projection for itself as PEFT and others do it."""
    x, dy, base = c.x.wide.contiguous(), c.dy.wide.contiguous(), c.weight.base.contiguous()
    forward["base alone"] = lambda: torch.mm(x, base.T, out=c.out)
    forward["base alone, spaced"] = lambda: torch.mm(c.x.wide, c.weight.base.T, out=c.out)
    backward["base alone"] = lambda: torch.mm(dy, base, out=c.dx)
    parts = []
    for index, projection in enumerate(c.layout.projections):
        a, b = randn(RANK, c.layout.in_features), randn(projection.out_features, RANK)
        rows = c.layout.rows(index)
        parts.append((base[rows], a, b, dy[:, rows].contiguous()))

    def each_forward() -> None:
        for weight, a, b, _ in parts:
            (x @ weight.T).addmm_(x @ a.T, b.T, alpha=2.0)

    def each_backward() -> None:
        for index, (weight, a, b, grad) in enumerate(parts):
            ds = grad @ b
            c.dx.addmm_(grad, weight, beta=float(index > 0)).addmm_(ds, a, alpha=2.0)
            grad.T @ (x @ a.T)
            ds.T @ x

    forward["each for itself"], backward["each for itself"] = each_forward, each_backward


def time_gradients(shape: Shape, table: Table) -> None:
    """dA and dB, and the two thin products; bytes of the wide tensors are counted once."""
    for name, layout in shape.products().items():
        c = Case.of(layout, shape.tokens)
        where = (shape.name, f"gradients {name}")
        x_bytes, dy_bytes = (2 * shape.tokens * n for n in (layout.in_features, layout.out_features))
        thin_x = lambda c=c: torch.mm(c.x.wide, c.weight.a.T, out=c.x.ranks)  # noqa: E731
        thin_dy = lambda c=c: torch.mm(c.dy.wide, c.weight.b, out=c.dy.ranks)  # noqa: E731
        table.add((*where, "s = x A^T, cuBLAS"), thin_x, num_bytes=x_bytes)
        table.add((*where, "ds = dy B, cuBLAS"), thin_dy, num_bytes=dy_bytes)
        ours = lambda c=c: adapter_gradients.add_adapter_gradients(c.dy, c.x, c.places)  # noqa: E731
        table.add((*where, "dA and dB into their places"), ours, num_bytes=x_bytes + dy_bytes)
        wide_a, wide_b = (torch.zeros(t.shape, device=CUDA) for t in (c.weight.a, c.weight.b))

        def padded(c: Case = c, wide_a: Tensor = wide_a, wide_b: Tensor = wide_b) -> None:
            add_product(wide_a, c.dy.ranks.T, c.x.wide)
            add_product(wide_b, c.dy.wide.T, c.x.ranks)

        table.add((*where, "dA and dB, all R columns, float32"), padded, num_bytes=x_bytes + dy_bytes)
        in_16_bits = lambda c=c: (c.dy.ranks.T @ c.x.wide, c.dy.wide.T @ c.x.ranks)  # noqa: E731
        table.add((*where, "dA and dB, all R columns, bf16"), in_16_bits, num_bytes=x_bytes + dy_bytes)


def time_nf4(shape: Shape, table: Table) -> None:
    stored, state = quantize_4bit(randn(shape.wide, shape.hidden), quant_type="nf4", compress_statistics=True)
    weight = nf4.nf4_weight(stored, state)
    num_bytes = shape.wide * shape.hidden * (2 + 0.5 + 1 / 64)
    out = torch.empty(shape.wide, shape.hidden, device=CUDA, dtype=BF16)
    spaced = torch.empty(shape.wide, shape.hidden + 64, device=CUDA, dtype=BF16)[:, : shape.hidden]
    where = (shape.name, "nf4 of gate")
    for tile in (64, 128, 256, 512):
        with swept(nf4, TILE_WORDS=tile):
            for buffer, name in ((out, "contiguous"), (spaced, "spaced")):
                call = lambda buffer=buffer: nf4.dequantize(weight, buffer)  # noqa: E731
                table.add((*where, f"ours, {name}, {tile} words"), call, num_bytes=num_bytes)
    table.add((*where, "bitsandbytes"), lambda: dequantize_4bit(stored, state), num_bytes=num_bytes)
    table.add((*where, "bitsandbytes, out"), lambda: dequantize_4bit(stored, state, out=out), num_bytes=num_bytes)


def time_adamw(shape: Shape, table: Table) -> None:
    """One step with clipping and zeroing over the adapters of all layers."""
    flat = _adapters_of(shape)
    state = adamw.adamw_state(flat, [0.01])
    state.groups[:, 0] = 1e-4
    num_bytes = len(flat.values) * (4 + 4 * 4 + 4 * 4 + 2)
    where = (shape.name, f"adamw, {len(flat.values) / 1e6:.0f}M")
    options = adamw.AdamwOptions()
    table.add((*where, "ours"), lambda: adamw.adamw_step(flat, state, options), num_bytes=num_bytes)
    leaves = [flat.value(index).clone().requires_grad_() for index in range(len(flat.parameters))]
    optimizer = torch.optim.AdamW(leaves, lr=1e-4, fused=True)
    for leaf in leaves:
        leaf.grad = torch.zeros_like(leaf)

    def by_torch() -> None:
        torch.nn.utils.clip_grad_norm_(leaves, 1.0, foreach=True)
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)

    table.add((*where, "torch, fused, clip and zero"), by_torch, num_bytes=num_bytes)


def _adapters_of(shape: Shape) -> FlatParameters:
    parameters = []
    for layout in shape.products().values():
        weight = empty_weight(layout, BF16, CUDA)
        for index, projection in enumerate(layout.projections):
            parameters.append(FlatParameter((RANK, layout.in_features), 0, weight.a_of(index)))
            parameters.append(FlatParameter((projection.out_features, RANK), 0, weight.b_of(index), 2.0))
    return flat_parameters(parameters * shape.layers, CUDA)


def time_fp8(shape: Shape, table: Table) -> None:
    for name, layout in shape.products().items():
        if fp8.is_supported(CUDA):
            _time_fp8_product(shape, name, layout, table)


def _time_fp8_product(shape: Shape, name: str, layout: LoraLayout, table: Table) -> None:
    x, dy = randn(shape.tokens, layout.in_features), randn(shape.tokens, layout.out_features)
    base = randn(layout.out_features, layout.in_features)
    kept, made = (fp8.quantized_weight(base, keep_transposed=keep) for keep in (True, False))
    out, dx = torch.empty_like(dy), torch.empty_like(x)
    scratch = torch.empty(layout.in_features, layout.out_features, dtype=fp8_rows.DTYPE, device=CUDA)
    quantized = fp8_rows.quantize_rows(x)
    flops = 2 * shape.tokens * layout.in_features * layout.out_features
    where = (shape.name, f"fp8 {name}")
    table.add((*where, "quantising x"), lambda: fp8_rows.quantize_rows(x), num_bytes=1.5 * x.nbytes)
    table.add((*where, "forward, product alone"), lambda: fp8.forward(quantized, kept, out), flops)
    table.add((*where, "forward"), lambda: fp8.forward(fp8_rows.quantize_rows(x), kept, out), flops)

    def turn() -> fp8_rows.Fp8Rows:
        return fp8_rows.quantize_rows(dy, kept.column_factors)

    table.add((*where, "backward, transpose kept"), lambda: fp8.backward(turn(), kept, dx), flops)
    table.add((*where, "backward, transpose made"), lambda: fp8.backward(turn(), made, dx, scratch), flops)
    table.add((*where, "forward, bf16"), lambda: torch.mm(x, base.T, out=out), flops)


if __name__ == "__main__":
    main()
