"""The machine's own limit for one micro-batch: its base products and attention alone, timed here and now.

No norm, no adapter, no optimizer, nothing computed twice; each weight is read by one product forward and one backward.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from tui_tuner.plan import ModelFacts

SECONDS_EACH = 0.15
"""So long each product is repeated: a GPU's clock needs time to settle under load."""
HEAD_ROWS = 2048
"""Rows of the head that are multiplied at once; more would only take memory."""
BACKENDS = (SDPBackend.CUDNN_ATTENTION, SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What one micro-batch asks for."""

    documents: int
    length: int
    """Mean tokens of a document; attention stays within each."""
    trained_share: float
    """Of the tokens, those whose logits are needed."""
    has_fp8_base: bool = False

    @property
    def tokens(self) -> int:
        return self.documents * self.length


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineLimit:
    """Least seconds of the work, forward and backward."""

    tokens: int
    products_seconds: float
    attention_seconds: float
    head_seconds: float
    product_operations: float
    """Multiplications and additions of the layers' products."""

    @property
    def seconds(self) -> float:
        return self.products_seconds + self.attention_seconds + self.head_seconds

    @property
    def tokens_per_second(self) -> float:
        return self.tokens / self.seconds

    @property
    def teraflops(self) -> float:
        """Rate of the layers' products."""
        return self.product_operations / self.products_seconds / 1e12


@dataclass(frozen=True, slots=True)
class _Product:
    """A weight of `out_features` x `in_features`."""

    out_features: int
    in_features: int


def measure_limit(model: ModelFacts, work: Work, device: torch.device, dtype: torch.dtype) -> MachineLimit | None:
    """Time the work; None where the model's layers are not of Llama's shape, whose products these are.

    Raises:
        torch.OutOfMemoryError: the buffers of one product do not fit.
    """
    products = _layer_products(model)
    counted = sum(one.out_features * one.in_features for one in products) * model.num_layers
    if not 0.98 < counted / max(model.num_linear_parameters, 1) < 1.02:
        return None
    time_product = _fp8_seconds if work.has_fp8_base else _seconds_of_product
    a_layer = sum(
        time_product(work.tokens, one.out_features, one.in_features, device, dtype)
        + time_product(work.tokens, one.in_features, one.out_features, device, dtype)
        for one in products
    )
    head_rows = max(1, round(work.tokens * work.trained_share))
    at_once = min(head_rows, HEAD_ROWS)
    head = _seconds_of_product(at_once, model.vocab_size, model.hidden_size, device, dtype)
    head += _seconds_of_product(at_once, model.hidden_size, model.vocab_size, device, dtype)
    return MachineLimit(
        tokens=work.tokens,
        products_seconds=a_layer * model.num_layers,
        attention_seconds=_seconds_of_attention(model, work, device, dtype) * model.num_layers,
        head_seconds=head * head_rows / at_once,
        product_operations=4.0 * counted * work.tokens,
    )


def _layer_products(model: ModelFacts) -> tuple[_Product, ...]:
    """Query, key and value read one input, as do gate and up: each is one product."""
    query, key_value = model.num_heads * model.head_dim, model.num_kv_heads * model.head_dim
    return (
        _Product(query + 2 * key_value, model.hidden_size),
        _Product(model.hidden_size, query),
        _Product(2 * model.intermediate_size, model.hidden_size),
        _Product(model.hidden_size, model.intermediate_size),
    )


def _seconds_of_product(
    rows: int, out_features: int, in_features: int, device: torch.device, dtype: torch.dtype
) -> float:
    """Random numbers: zeros would draw less power and run faster."""
    x = torch.randn(rows, in_features, device=device, dtype=dtype)
    weight = torch.randn(out_features, in_features, device=device, dtype=dtype)
    out = torch.empty(rows, out_features, device=device, dtype=dtype)
    return seconds_of(lambda: torch.mm(x, weight.t(), out=out), device)


def _fp8_seconds(rows: int, out_features: int, in_features: int, device: torch.device, dtype: torch.dtype) -> float:
    """The same in e4m3 with a scale a row; quantising is not part of it."""
    x = torch.randn(rows, in_features, device=device, dtype=dtype).to(torch.float8_e4m3fn)
    weight = torch.randn(out_features, in_features, device=device, dtype=dtype).to(torch.float8_e4m3fn)
    scale_x, scale_w = torch.ones(rows, 1, device=device), torch.ones(1, out_features, device=device)
    return seconds_of(
        lambda: torch._scaled_mm(x, weight.t(), scale_a=scale_x, scale_b=scale_w, out_dtype=dtype), device
    )


def _seconds_of_attention(model: ModelFacts, work: Work, device: torch.device, dtype: torch.dtype) -> float:
    """Forward and backward of one layer, by the fastest way that torch has for it."""
    queries = torch.randn(
        work.documents, model.num_heads, work.length, model.head_dim, device=device, dtype=dtype, requires_grad=True
    )
    keys, values = (
        torch.randn(
            work.documents, model.num_kv_heads, work.length, model.head_dim, device=device, dtype=dtype,
            requires_grad=True,
        )
        for _ in range(2)
    )  # fmt: skip
    if device.type != "cuda":
        return _attention_seconds(queries, keys, values, device)
    return min(_with_backend(backend, (queries, keys, values), device) for backend in BACKENDS)


def _with_backend(backend: SDPBackend, tensors: tuple[Tensor, Tensor, Tensor], device: torch.device) -> float:
    """Infinity where it does not know these sizes."""
    queries, keys, values = tensors
    if backend != SDPBackend.CUDNN_ATTENTION:
        group = queries.shape[1] // keys.shape[1]
        keys, values = (one.detach().repeat_interleave(group, 1).requires_grad_() for one in (keys, values))
    try:
        with sdpa_kernel(backend):
            return _attention_seconds(queries, keys, values, device)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError:
        return float("inf")


def _attention_seconds(queries: Tensor, keys: Tensor, values: Tensor, device: torch.device) -> float:
    has_groups = queries.shape[1] != keys.shape[1]

    def forward() -> Tensor:
        return scaled_dot_product_attention(queries, keys, values, is_causal=True, enable_gqa=has_groups)

    output = forward()
    grad = torch.randn_like(output)
    backward = seconds_of(lambda: torch.autograd.grad(output, (queries, keys, values), grad, retain_graph=True), device)
    with torch.no_grad():
        return backward + seconds_of(forward, device)


def seconds_of(work: Callable[[], object], device: torch.device) -> float:
    """Mean seconds of one call among as many as fill `SECONDS_EACH`, on the device's own clock."""
    work()
    count = max(2, min(500, int(SECONDS_EACH / max(_elapsed(work, 2, device), 1e-6))))
    return _elapsed(work, count, device)


def _elapsed(work: Callable[[], object], count: int, device: torch.device) -> float:
    if device.type != "cuda":
        began = time.perf_counter()
        for _ in range(count):
            work()
        return (time.perf_counter() - began) / count
    began_event, ended_event = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    began_event.record()
    for _ in range(count):
        work()
    ended_event.record()
    torch.cuda.synchronize()
    return float(began_event.elapsed_time(ended_event)) / 1e3 / count
