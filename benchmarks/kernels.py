"""How fast each memory-bound kernel and each path of attention is on this GPU, beside eager torch.

    python -m benchmarks.kernels [--json FILE] [--only TEXT] [--tiles]

Bytes and operations are those that the work needs, not those that eager code moves, so that the columns compare.
"""

import argparse
import dataclasses
import functools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional
from triton.errors import TritonError
from triton.testing import do_bench

from tui_tuner.kernels import gated_product, layer_norm, rms_norm, rope
from tui_tuner.kernels.attention import causal as attention
from tui_tuner.kernels.attention import kernel as attention_kernel
from tui_tuner.kernels.attention.causal import Inputs, Layout
from tui_tuner.kernels.attention.kernel import Scores, Tile
from tui_tuner.kernels.attention.path import Path as AttentionPath
from tui_tuner.kernels.documents import batch_of, pack_of
from tui_tuner.kernels.gated_product import GatedGradients
from tui_tuner.kernels.lora import gated_ranks, gated_sums
from tui_tuner.kernels.lora.gated_sums import ThinSum, ThinSums
from tui_tuner.kernels.rms_norm import Into, Norm
from tui_tuner.kernels.rope import Heads, Rotation
from tui_tuner.kernels.rope_tables import frequencies, tables

GPU = torch.device("cuda")
DTYPE = torch.bfloat16
RANK = 16


@dataclass(frozen=True, slots=True)
class Shape:
    """One decoder layer's sizes at one micro-batch."""

    name: str
    rows: int
    length: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int

    @property
    def tokens(self) -> int:
        return self.rows * self.length


SHAPES = (
    Shape("8B, 4 x 2048", 4, 2048, 4096, 14336, 32, 8, 128),
    Shape("1B, 2 x 2048", 2, 2048, 2048, 8192, 32, 8, 64),
)
OURS: tuple[AttentionPath, ...] = ("triton",)
LIBRARIES: tuple[AttentionPath, ...] = ("flash", "efficient", "cudnn")
GEMMA = Shape("Gemma 2 9B, 1 x 8192", 1, 8192, 3584, 14336, 16, 8, 256)


@dataclass(frozen=True, slots=True)
class Case:
    """One call, what it must move or compute at least, and eager torch for the same result."""

    name: str
    shape: str
    call: Callable[[], object]
    eager: Callable[[], object] | None = None
    num_bytes: int = 0
    operations: float = 0.0


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    shape: str
    microseconds: float | None
    gigabytes_per_second: float | None = None
    teraflops: float | None = None
    eager_microseconds: float | None = None
    failure: str = ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the rows there as well")
    parser.add_argument("--only", default="", help="only cases whose name holds this")
    parser.add_argument("--tiles", action="store_true", help="try every tile of our own attention kernel instead")
    options = parser.parse_args()
    rows = []
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}")
    print(f"{'kernel':46} {'shape':22} {'us':>9} {'GB/s':>7} {'TFLOP/s':>8} {'eager us':>9} {'ratio':>6}")
    for name, cases in tile_groups() if options.tiles else groups():
        for row in rows_of(name, cases, options.only):
            rows.append(row)
            print(line(row), flush=True)
            if options.json:
                options.json.write_text(json.dumps([dataclasses.asdict(row) for row in rows], indent=1))


def rows_of(name: str, cases: Iterator[Case], only: str) -> Iterator[Row]:
    """A group whose inputs cannot be made becomes one row that says so."""
    try:
        for case in cases:
            if only in case.name:
                yield measured(case)
    except (RuntimeError, TritonError) as error:
        yield Row(name, "", None, failure=first_line(error))


def measured(case: Case) -> Row:
    try:
        seconds = do_bench(case.call, return_mode="median") / 1e3
        eager = do_bench(case.eager, return_mode="median") * 1e3 if case.eager else None
    except (RuntimeError, TritonError) as error:
        return Row(case.name, case.shape, None, failure=first_line(error))
    return Row(
        case.name, case.shape, seconds * 1e6,
        case.num_bytes / seconds / 1e9 if case.num_bytes else None,
        case.operations / seconds / 1e12 if case.operations else None,
        eager,
    )  # fmt: skip


def first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:120]


def line(row: Row) -> str:
    if row.microseconds is None:
        return f"{row.name:46} {row.shape:22} {row.failure}"
    ratio = row.eager_microseconds / row.microseconds if row.eager_microseconds else None
    cells = [
        f"{'' if value is None else f'{value:,.{digits}f}':>{width}}"
        for value, digits, width in (
            (row.microseconds, 1, 9), (row.gigabytes_per_second, 0, 7), (row.teraflops, 0, 8),
            (row.eager_microseconds, 1, 9), (ratio, 2, 6),
        )
    ]  # fmt: skip
    return f"{row.name:46} {row.shape:22} {' '.join(cells)}"


def groups() -> Iterator[tuple[str, Iterator[Case]]]:
    """Libraries last: a fault of the device ends whatever comes after it."""
    for shape in SHAPES:
        yield "norms", norm_cases(shape)
        yield "gated products", gated_cases(shape)
        yield "RoPE", rope_cases(shape)
    for shape in SHAPES:
        yield "attention, ours", attention_cases(shape, OURS)
    yield "attention, Gemma 2", gemma_cases(GEMMA)
    for shape in SHAPES:
        yield "attention, libraries", attention_cases(shape, LIBRARIES)


def randn(*shape: int) -> Tensor:
    return torch.randn(*shape, device=GPU, dtype=DTYPE)


def norm_cases(shape: Shape) -> Iterator[Case]:
    x, delta, grad, dsum = (randn(shape.tokens, shape.hidden) for _ in range(4))
    weight, norm, size = randn(shape.hidden), Norm(1e-5), x.nbytes
    saved = rms_norm.forward(x, weight, norm, delta)
    out, dx = torch.empty_like(x), torch.empty_like(x)

    def eager_forward(x: Tensor, weight: Tensor) -> Tensor:
        normed = x.float() * torch.rsqrt(x.float().square().mean(-1, keepdim=True) + norm.eps)
        return weight * normed.to(DTYPE)

    leaf = x.clone().requires_grad_()
    output = eager_forward(leaf, weight)
    yield Case(
        "RMSNorm", shape.name, lambda: rms_norm.forward(x, weight, norm, into=Into(output=out)),
        lambda: eager_forward(x, weight), 2 * size,
    )  # fmt: skip
    yield Case(
        "RMSNorm with residual", shape.name, lambda: rms_norm.forward(x, weight, norm, delta, Into(output=out)),
        lambda: eager_forward(x + delta, weight), 4 * size,
    )  # fmt: skip
    yield Case(
        "RMSNorm backward, frozen weight", shape.name,
        lambda: rms_norm.backward(grad, saved, weight, norm, dsum, grad_x=dx),
        lambda: torch.autograd.grad(output, leaf, grad, retain_graph=True)[0] + dsum, 4 * size,
    )  # fmt: skip
    yield Case(
        "RMSNorm backward, output again", shape.name,
        lambda: rms_norm.backward(grad, saved, weight, norm, dsum, grad_x=dx, output=out), None, 5 * size,
    )  # fmt: skip
    yield Case(
        "RMSNorm backward, trained weight", shape.name,
        lambda: rms_norm.backward(grad, saved, weight, norm, dsum, grad_x=dx, trains_weight=True), None, 4 * size,
    )  # fmt: skip
    heads = randn(shape.tokens, shape.heads, shape.head_dim)
    of_head, into = randn(shape.head_dim), torch.empty_like(heads)
    yield Case(
        "RMSNorm of heads", shape.name, lambda: rms_norm.forward(heads, of_head, norm, into=Into(output=into)),
        lambda: eager_forward(heads, of_head), 2 * heads.nbytes,
    )  # fmt: skip
    normed = layer_norm.forward(x, weight, weight, 1e-5)
    yield Case(
        "LayerNorm", shape.name, lambda: layer_norm.forward(x, weight, weight, 1e-5, out),
        lambda: functional.layer_norm(x, (shape.hidden,), weight, weight), 2 * size,
    )  # fmt: skip
    yield Case(
        "LayerNorm backward, frozen", shape.name,
        lambda: layer_norm.backward(grad, x, normed, weight, trains=False, grad_x=dx), None, 3 * size,
    )  # fmt: skip


def gated_cases(shape: Shape) -> Iterator[Case]:
    both = randn(shape.tokens, 2 * shape.intermediate)
    gate, up = both[:, : shape.intermediate], both[:, shape.intermediate :]
    grad = randn(shape.tokens, shape.intermediate)
    out = torch.empty_like(grad)
    leaves = gate.clone().requires_grad_(), up.clone().requires_grad_()
    product = functional.silu(leaves[0]) * leaves[1]
    yield Case(
        "SwiGLU", shape.name, lambda: gated_product.forward(gate, up, "silu", out),
        lambda: functional.silu(gate) * up, 3 * grad.nbytes,
    )  # fmt: skip
    # Over its own inputs the values drift, which costs no time; the product is the sixth tensor moved.
    into = GatedGradients(gate, up, grad)
    yield Case(
        "SwiGLU backward in place, product again", shape.name,
        lambda: gated_product.backward(grad, gate, up, "silu", into),
        lambda: torch.autograd.grad(product, leaves, out, retain_graph=True), 6 * grad.nbytes,
    )  # fmt: skip
    ranks, of_a = randn(shape.tokens, 3 * RANK), randn(RANK, shape.intermediate)
    yield Case(
        "SwiGLU with x A^T", shape.name,
        lambda: gated_ranks.forward(gate, up, "silu", out, of_a, ranks[:, :RANK], None), None, 3 * grad.nbytes,
    )  # fmt: skip
    places = torch.zeros(3 * RANK, shape.intermediate, device=GPU).split(RANK)
    sums = ThinSums(*(ThinSum(*one) for one in zip(ranks.split(RANK, dim=1), places, strict=True)))
    yield Case(
        "SwiGLU backward in place, adapters' gradients", shape.name,
        lambda: gated_sums.backward(grad, gate, up, "silu", sums), None, 5 * grad.nbytes,
    )  # fmt: skip
    yield Case(
        "GEGLU tanh", shape.name, lambda: gated_product.forward(gate, up, "gelu_tanh", out),
        lambda: functional.gelu(gate, approximate="tanh") * up, 3 * grad.nbytes,
    )  # fmt: skip


def rope_cases(shape: Shape) -> Iterator[Case]:
    width = shape.head_dim
    fused = randn(shape.tokens, shape.heads + 2 * shape.kv_heads, width)
    q, k, v = torch.split(fused, [shape.heads, shape.kv_heads, shape.kv_heads], 1)
    positions = torch.arange(shape.length, device=GPU, dtype=torch.int32).repeat(shape.rows)
    turn = Rotation(tables(frequencies(width, 5e5, None, shape.length), shape.length, GPU), positions)
    cos, sin = (torch.cat((t, t), -1)[positions.long()][:, None].to(DTYPE) for t in (turn.tables.cos, turn.tables.sin))

    def eager() -> tuple[Tensor, ...]:
        def other(x: Tensor) -> Tensor:
            return torch.cat((-x[..., width // 2 :], x[..., : width // 2]), -1)

        return tuple(x * cos + other(x) * sin for x in (q, k))

    heads = Heads(q, k)
    size = q.nbytes + k.nbytes
    yield Case("RoPE in place", shape.name, lambda: rope.forward(heads, turn, heads), eager, 2 * size)
    source = Heads(q.contiguous(), k.contiguous(), v.contiguous())
    yield Case(
        "RoPE backward, gathering dq, dk, dv", shape.name,
        lambda: rope.backward(source, turn, Heads(q, k, v)), None, 2 * fused.nbytes,
    )  # fmt: skip


def attention_cases(shape: Shape, paths: tuple[AttentionPath, ...]) -> Iterator[Case]:
    batch = batch_of(shape.rows, shape.length, GPU)
    short = [192] * (shape.tokens // 192)
    pack, bound = pack_of(short, shape.tokens, GPU), pack_of([shape.length] * shape.rows, shape.tokens, GPU)
    plain, windowed = (Scores(shape.head_dim**-0.5, window) for window in (None, 512))
    for path in paths:
        for kind, documents, scores in (
            ("batch", batch, plain), ("pack of equal rows", bound, plain), ("pack of 192", pack, plain),
            ("window of 512", batch, windowed),
        ):  # fmt: skip
            if kind == "batch" or path in ("flash", "triton"):
                layout = Layout(documents, scores, path)
                yield from forward_and_backward(f"attention, {path}, {kind}", shape, layout)


def gemma_cases(shape: Shape) -> Iterator[Case]:
    batch = batch_of(shape.rows, shape.length, GPU)
    for name, scores in (
        ("softcap", Scores(shape.head_dim**-0.5, softcap=50.0)),
        ("softcap, window of 4096", Scores(shape.head_dim**-0.5, 4096, 50.0)),
    ):
        yield from forward_and_backward(f"attention, triton, {name}", shape, Layout(batch, scores, "triton"))
    yield from forward_and_backward(
        "attention, flash, no softcap", shape, Layout(batch, Scores(shape.head_dim**-0.5), "flash")
    )


def forward_and_backward(name: str, shape: Shape, layout: Layout) -> Iterator[Case]:
    inputs, grad = attention_inputs(shape)
    work = scores_computed(layout) * shape.heads * shape.head_dim * 4.0
    saved: list[attention.Attended] = []

    def backward() -> Inputs:
        if not saved:
            saved.append(attention.forward(inputs, layout))
        return attention.backward(grad, inputs, saved[0], layout)

    yield Case(name, shape.name, lambda: attention.forward(inputs, layout), operations=work)
    yield Case(name + ", backward", shape.name, backward, operations=2.5 * work)


def attention_inputs(shape: Shape) -> tuple[Inputs, Tensor]:
    fused = randn(shape.tokens, shape.heads + 2 * shape.kv_heads, shape.head_dim)
    inputs = Inputs(*torch.split(fused, [shape.heads, shape.kv_heads, shape.kv_heads], 1))
    return inputs, randn(shape.tokens, shape.heads, shape.head_dim)


def scores_computed(layout: Layout) -> float:
    """Pairs of tokens that see each other, for one head."""
    place = torch.arange(layout.documents.tokens, device=GPU)
    seen = place - layout.documents.first + 1
    return float((seen if layout.scores.window is None else seen.clamp(max=layout.scores.window)).double().sum())


TILES = tuple(
    Tile(*sizes)
    for sizes in (
        (128, 128, 8, 2), (128, 64, 8, 2), (128, 64, 8, 3), (128, 64, 4, 2), (128, 32, 8, 2), (64, 64, 4, 2),
        (64, 64, 8, 2), (64, 64, 4, 1), (64, 32, 4, 2), (64, 32, 4, 3), (32, 64, 4, 2),
    )
)  # fmt: skip


def tile_groups() -> Iterator[tuple[str, Iterator[Case]]]:
    yield "tiles", tile_cases()


def tile_cases() -> Iterator[Case]:
    """Tiles of our own kernel, for the shapes that go through it."""
    small = dataclasses.replace(SHAPES[0], name="8B heads, 4 x 2048")
    for shape, softcap in ((GEMMA, 50.0), (small, None)):
        documents, scores = batch_of(shape.rows, shape.length, GPU), Scores(shape.head_dim**-0.5, softcap=softcap)
        inputs, grad = attention_inputs(shape)
        qkv = inputs.q, inputs.k, inputs.v
        work = scores_computed(Layout(documents, scores, "triton")) * shape.heads * shape.head_dim * 4.0
        saved = attention_kernel.forward(qkv, documents, scores)
        usual = attention_kernel.tile_for(shape.head_dim, 2, inputs.q.device, backward=True)
        for tile in TILES:
            forward = functools.partial(attention_kernel.forward, qkv, documents, scores, tile)
            yield Case(f"forward {tuple(tile)}", shape.name, forward, operations=work)
            for part, tiles in (("dq", (tile, usual)), ("dk, dv", (usual, tile))):
                backward = functools.partial(attention_kernel.backward, grad, qkv, saved, documents, scores, tiles)
                yield Case(f"backward, {part} {tuple(tile)}", shape.name, backward, operations=2.5 * work)


if __name__ == "__main__":
    main()
