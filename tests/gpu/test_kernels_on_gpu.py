"""The kernels compiled: accuracy in every type, odd shapes and strides, huge tensors, CUDA graphs, equal bits.

The measure is float64; allowed is 1.5 times the error of what plain torch computes in the same type.
"""

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from tui_tuner.kernels import gated_product, layer_norm, rms_norm, rope, self_test
from tui_tuner.kernels.attention import causal as attention
from tui_tuner.kernels.attention.causal import Inputs, Layout
from tui_tuner.kernels.attention.kernel import Scores
from tui_tuner.kernels.attention.path import Path
from tui_tuner.kernels.checking import check_against, leaf
from tui_tuner.kernels.documents import Documents, batch_of, pack_of
from tui_tuner.kernels.gated_product import Activation, GatedGradients
from tui_tuner.kernels.rms_norm import Norm, Style
from tui_tuner.kernels.rope import Heads, Rotation
from tui_tuner.kernels.rope_tables import frequencies, tables

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU; none is visible"),
]
GPU = torch.device("cuda")
DTYPES = [torch.bfloat16, torch.float16, torch.float32]
every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: str(dtype)[6:])


@pytest.fixture(autouse=True)
def memory_is_given_back() -> Iterator[None]:
    yield
    torch.cuda.empty_cache()


def randn(*shape: int, dtype: torch.dtype = torch.bfloat16, seed: int = 0) -> Tensor:
    generator = torch.Generator(GPU).manual_seed(seed + sum(shape))
    return torch.randn(*shape, generator=generator, device=GPU, dtype=torch.float32).to(dtype)


def assert_accurate(
    got: tuple[Tensor, ...], exact: tuple[Tensor, ...], usual: tuple[Tensor, ...], floor: float = 1e-6
) -> None:
    for place, (ours, in_double, theirs) in enumerate(zip(got, exact, usual, strict=True)):
        check = check_against(f"result {place}", ours, in_double, theirs, floor)
        assert check.passed, check


@pytest.mark.parametrize(("name", "checks"), self_test.OPERATIONS, ids=[name for name, _ in self_test.OPERATIONS])
def test_the_self_test_passes(name: str, checks: Callable[[torch.device], Iterator[object]]) -> None:
    rows = list(self_test.checks_of(name, checks, GPU))  # type: ignore[arg-type]
    assert rows
    assert [row for row in rows if not row.passed] == []


@every_dtype
@pytest.mark.parametrize("style", ["llama", "gemma"])
@pytest.mark.parametrize(
    "shape", [(1, 64), (1000, 896), (33, 5120), (3, 1001), (7, 16384), (513, 3, 96), (65, 32, 256)]
)
def test_rms_norm_of_odd_shapes(shape: tuple[int, ...], style: Style, dtype: torch.dtype) -> None:
    norm, weight = Norm(1e-6, style), randn(shape[-1], dtype=dtype)
    x, delta, grad = (randn(*shape, dtype=dtype, seed=seed) for seed in range(3))
    result = rms_norm.forward(x, weight, norm, delta)
    gradients = rms_norm.backward(grad, result, weight, norm, trains_weight=True)
    assert gradients.weight is not None
    exact, usual = (rms_norm.eager(x + delta, weight, grad, norm, kept) for kept in (torch.float64, dtype))
    assert_accurate((result.output, gradients.x, gradients.weight.to(dtype)), exact, usual)


@every_dtype
@pytest.mark.parametrize("shape", [(1, 64), (1000, 896), (33, 5120), (3, 1001)])
def test_layer_norm_of_odd_shapes(shape: tuple[int, int], dtype: torch.dtype) -> None:
    x, grad, weight, bias = (randn(*size, dtype=dtype) for size in (shape, shape, shape[1:], shape[1:]))
    leaves = [tensor.clone().requires_grad_() for tensor in (x, weight, bias)]
    output = layer_norm.layer_norm(leaves[0], leaves[1], leaves[2], 1e-5)

    def by_torch(precision: torch.dtype) -> tuple[Tensor, ...]:
        inputs = [leaf(tensor, precision) for tensor in (x, weight, bias)]
        result = torch.nn.functional.layer_norm(inputs[0], shape[1:], inputs[1], inputs[2], 1e-5)
        return result.detach(), *torch.autograd.grad(result, inputs, grad.to(precision))

    assert_accurate((output, *torch.autograd.grad(output, leaves, grad)), by_torch(torch.float64), by_torch(dtype))


@every_dtype
@pytest.mark.parametrize("activation", ["silu", "gelu", "gelu_tanh"])
@pytest.mark.parametrize("shape", [(1, 1), (77, 4864), (3, 1001)])
def test_gated_products_in_place_over_halves_of_one_buffer(
    shape: tuple[int, int], activation: Activation, dtype: torch.dtype
) -> None:
    both, grad = 2 * randn(shape[0], 2 * shape[1], dtype=dtype), randn(*shape, dtype=dtype, seed=1)
    gate, up = both[:, : shape[1]], both[:, shape[1] :]
    exact, usual = (gated_product.eager(gate, up, grad, activation, kept) for kept in (torch.float64, dtype))
    product = gated_product.forward(gate, up, activation)
    gated_product.backward(grad, gate, up, activation, GatedGradients(gate, up, grad))
    assert torch.equal(product, grad)
    assert_accurate((product, gate, up), exact, usual)


@every_dtype
@pytest.mark.parametrize("interleaved", [False, True])
@pytest.mark.parametrize(("width", "rotary_dim"), [(128, 128), (96, 72), (80, 20), (256, 256)])
def test_rope_in_place_and_gathered_back(width: int, rotary_dim: int, interleaved: bool, dtype: torch.dtype) -> None:
    fused = randn(515, 14, width, dtype=dtype)
    before, positions = fused.clone(), torch.arange(515, device=GPU) % 100
    turn = Rotation(tables(frequencies(rotary_dim, 1e4, None, 100), 100, GPU), positions, interleaved)
    heads, wanted = Heads(fused[:, :10], fused[:, 10:12]), torch.empty_like(fused)
    rope.turn_reference(heads, turn, Heads(wanted[:, :10], wanted[:, 10:12]), backwards=False)
    rope.forward(heads, turn, heads)
    torch.testing.assert_close(fused[:, :12], wanted[:, :12])
    gathered = torch.empty_like(fused)
    source = Heads(heads.q.clone(), heads.k.clone(), before[:, 12:])
    rope.backward(source, turn, Heads(gathered[:, :10], gathered[:, 10:12], gathered[:, 12:]))
    torch.testing.assert_close(gathered, before, rtol=4 * torch.finfo(dtype).eps, atol=4 * torch.finfo(dtype).eps)


BATCH, PACK = "batch", "pack"
SIXTEEN_BIT = (torch.bfloat16, torch.float16)
ATTENTIONS: list[tuple[Path, str, Scores, int, tuple[torch.dtype, ...]]] = [
    ("cudnn", BATCH, Scores(128**-0.5), 128, SIXTEEN_BIT),
    ("cudnn", BATCH, Scores(64**-0.5), 64, SIXTEEN_BIT),
    ("flash", BATCH, Scores(128**-0.5), 128, SIXTEEN_BIT),
    ("flash", BATCH, Scores(128**-0.5, window=65), 128, SIXTEEN_BIT),
    ("flash", PACK, Scores(64**-0.5), 64, SIXTEEN_BIT),
    ("flash", PACK, Scores(96**-0.5, window=65), 96, SIXTEEN_BIT),
    ("flash", PACK, Scores(256**-0.5), 256, SIXTEEN_BIT),
    ("efficient", BATCH, Scores(64**-0.5), 64, tuple(DTYPES)),
    ("efficient", PACK, Scores(64**-0.5), 64, tuple(DTYPES)),
    ("efficient", PACK, Scores(128**-0.5, window=65), 128, tuple(DTYPES)),
    ("efficient", BATCH, Scores(128**-0.5, window=65), 128, tuple(DTYPES)),
    ("triton", BATCH, Scores(128**-0.5), 128, tuple(DTYPES)),
    ("triton", PACK, Scores(64**-0.5, window=65), 64, tuple(DTYPES)),
    ("triton", PACK, Scores(80**-0.5, softcap=5.0), 80, tuple(DTYPES)),
    ("triton", PACK, Scores(256**-0.5, 65, 50.0), 256, tuple(DTYPES)),
]


def documents_of(kind: str) -> Documents:
    return batch_of(3, 321, GPU) if kind == BATCH else pack_of((500, 1, 7, 300), 963, GPU, slots=8, max_length=963)


@pytest.mark.parametrize(
    ("path", "kind", "scores", "width", "dtype"),
    [(*case[:4], dtype) for case in ATTENTIONS for dtype in case[4]],
)
def test_every_path_of_attention(path: Path, kind: str, scores: Scores, width: int, dtype: torch.dtype) -> None:
    documents = documents_of(kind)
    fused, grad = randn(documents.tokens, 12, width, dtype=dtype), randn(documents.tokens, 8, width, dtype=dtype)
    inputs = Inputs(fused[:, :8], fused[:, 8:10], fused[:, 10:])
    layout = Layout(documents, scores, path)
    attended = attention.forward(inputs, layout)
    gradients = attention.backward(grad, inputs, attended, layout)
    exact, usual = (attention.eager(inputs, grad, documents, scores, kept) for kept in (torch.float64, dtype))
    assert_accurate((attended.output, gradients.q, gradients.k, gradients.v), exact, usual, attention.FLOAT32_ERROR)


def test_norms_reach_elements_beyond_two_to_the_31() -> None:
    rows, width = 2**31 // 4096 + 100, 4096
    x, weight = torch.zeros(rows, width, dtype=torch.bfloat16, device=GPU), randn(width)
    x[-50:] = randn(50, width)
    saved = rms_norm.forward(x, weight, Norm(1e-6))
    wanted = rms_norm.forward_reference(x[-50:], weight, Norm(1e-6))
    torch.testing.assert_close(saved.output[-50:], wanted.output)
    dx = rms_norm.backward(x, saved, weight, Norm(1e-6), grad_x=saved.output).x
    torch.testing.assert_close(dx[-50:], rms_norm.backward_reference(x[-50:], wanted, weight, Norm(1e-6)).x)
    output = layer_norm.forward(x, weight, None, 1e-5, output=dx).output
    torch.testing.assert_close(output[-50:], layer_norm.forward_reference(x[-50:], weight, None, 1e-5).output)


def test_gated_products_reach_elements_beyond_two_to_the_31() -> None:
    rows, width = 2**31 // 14336 + 100, 14336
    gate = torch.zeros(rows, width, dtype=torch.bfloat16, device=GPU)
    gate[-50:] = randn(50, width)
    wanted = gated_product.forward_reference(gate[-50:], gate[-50:], "silu")
    product = gated_product.forward(gate, gate, "silu")
    torch.testing.assert_close(product[-50:], wanted)
    gated_product.backward(product, gate, gate, "silu", GatedGradients(torch.empty_like(gate), product, None))
    torch.testing.assert_close(product[-50:], wanted * torch.nn.functional.silu(gate[-50:]))


def test_rope_and_attention_reach_elements_beyond_two_to_the_31() -> None:
    tokens, documents = 2**31 // (18 * 128) + 1000, 512
    lengths = [documents] * (tokens // documents)
    pack = pack_of(lengths, tokens, GPU)
    fused = torch.zeros(tokens, 18, 128, dtype=torch.bfloat16, device=GPU)
    last = pack_of([tokens % documents], tokens % documents, GPU)
    fused[-last.tokens :] = randn(last.tokens, 18, 128)
    turn = Rotation(tables(frequencies(128, 1e4, None, 64), 64, GPU), torch.full((tokens,), 9, device=GPU))
    heads, alone = Heads(fused[:, :16], fused[:, 16:17]), fused[-last.tokens :].clone()
    rope.forward(heads, turn, heads)
    end = Heads(alone[:, :16], alone[:, 16:17])
    rope.turn_reference(end, Rotation(turn.tables, turn.positions[-last.tokens :]), end, backwards=False)
    torch.testing.assert_close(fused[-last.tokens :], alone)
    for path in ("triton", "flash"):
        big, small = (Layout(kind, Scores(0.1), path) for kind in (pack, last))
        inputs, ends = (Inputs(x[:, :16], x[:, 16:17], x[:, 17:]) for x in (fused, alone))
        attended, wanted = attention.forward(inputs, big), attention.forward(ends, small)
        torch.testing.assert_close(attended.output[-last.tokens :], wanted.output)
        gradients = attention.backward(attended.output, inputs, attended, big)
        of_end = attention.backward(wanted.output, ends, wanted, small)
        torch.testing.assert_close(gradients.q[-last.tokens :], of_end.q, rtol=2e-2, atol=2e-2)
        torch.testing.assert_close(gradients.k[-last.tokens :], of_end.k, rtol=2e-2, atol=2e-2)


def layer_pieces(documents: Documents, path: Path) -> Callable[[], list[Tensor]]:
    """Forward and backward of every operation here, one after the other, from fixed inputs to new outputs."""
    tokens = documents.tokens
    x, fused, both = randn(tokens, 1024), randn(tokens, 12, 64), randn(tokens, 2048)
    weight, positions = randn(1024), torch.arange(tokens, device=GPU, dtype=torch.int32)
    turn = Rotation(tables(frequencies(64, 1e4, None, tokens), tokens, GPU), positions)
    layout = Layout(documents, Scores(0.125), path)

    def run() -> list[Tensor]:
        normed = rms_norm.forward(x, weight, Norm(1e-6), x)
        of_norm = rms_norm.backward(x, normed, weight, Norm(1e-6), trains_weight=True)
        turned = rope.rope(fused[:, :8], fused[:, 8:10], turn)
        inputs = Inputs(*turned, fused[:, 10:])
        attended = attention.forward(inputs, layout)
        gradients = attention.backward(attended.output, inputs, attended, layout)
        product = gated_product.forward(both[:, :1024], both[:, 1024:], "silu")
        into = gated_product.new_gradients(product, with_product=True)
        gated_product.backward(x, both[:, :1024], both[:, 1024:], "silu", into)
        assert of_norm.weight is not None
        return [of_norm.x, of_norm.weight, attended.output, gradients.q, gradients.k, gradients.v, into.gate, into.up]

    return run


@pytest.mark.parametrize(("kind", "path"), [(BATCH, "cudnn"), (BATCH, "flash"), (PACK, "flash"), (PACK, "triton")])
def test_nothing_waits_for_the_device_and_a_cuda_graph_computes_the_same(kind: str, path: Path) -> None:
    run = layer_pieces(documents_of(kind), path)
    wanted = run()
    torch.cuda.set_sync_debug_mode("error")
    try:
        run()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = run()
    graph.replay()
    for got, expected in zip(captured, wanted, strict=True):
        torch.testing.assert_close(got, expected, rtol=2e-2, atol=2e-2)


def test_two_runs_give_equal_bits() -> None:
    run = layer_pieces(documents_of(PACK), "triton")
    assert all(torch.equal(one, other) for one, other in zip(run(), run(), strict=True))


def test_kernels_run_on_the_device_and_stream_of_their_tensors() -> None:
    run = layer_pieces(documents_of(PACK), "triton")
    wanted, stream = run(), torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        got = run()
    stream.synchronize()
    assert all(torch.equal(one, other) for one, other in zip(got, wanted, strict=True))
