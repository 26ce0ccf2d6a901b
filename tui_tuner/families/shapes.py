"""The modules of a family's model at the sizes of one config: paths and shapes, without building anything."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Literal

from tui_tuner.families.types import Linear, ModelFamily, Norm, Width

ModuleKind = Literal["embedding", "linear", "norm", "head", "other"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelShape:
    """The sizes of one model, as its config.json states them."""

    hidden_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    intermediate_size: int
    vocab_size: int
    tied_embeddings: bool
    switches: frozenset[str] = frozenset()
    """Config fields that are true, such as "attention_bias"."""

    def width(self, width: Width) -> tuple[int, ...]:
        query, key_value = self.num_heads * self.head_dim, self.num_kv_heads * self.head_dim
        widths: dict[Width, tuple[int, ...]] = {
            Width.HIDDEN: (self.hidden_size,),
            Width.QUERY: (query,),
            Width.KEY_VALUE: (key_value,),
            Width.FUSED_QKV: (query + 2 * key_value,),
            Width.INTERMEDIATE: (self.intermediate_size,),
            Width.TWICE_INTERMEDIATE: (2 * self.intermediate_size,),
            Width.HEAD: (self.head_dim,),
            Width.QUERY_HEADS: (self.num_heads, self.head_dim),
            Width.KEY_VALUE_HEADS: (self.num_kv_heads, self.head_dim),
        }
        return widths[width]


@dataclass(frozen=True, slots=True)
class ModuleShape:
    """One module with weights. A linear's weight is (out, in), an embedding's (vocabulary, hidden)."""

    path: str
    kind: ModuleKind
    weight: tuple[int, ...]
    bias: int = 0
    """Length of the bias; 0 for none."""
    layer: int | None = None

    @property
    def num_parameters(self) -> int:
        return prod(self.weight) + self.bias


def family_modules(family: ModelFamily, shape: ModelShape) -> tuple[ModuleShape, ...]:
    """Every module with weights, in module order. A tied head is listed, though it is no second matrix."""
    return tuple(_modules(family, shape))


def _modules(family: ModelFamily, shape: ModelShape) -> Iterator[ModuleShape]:
    matrix = (shape.vocab_size, shape.hidden_size)
    yield ModuleShape(family.embedding_path, "embedding", matrix)
    for layer in range(shape.num_layers):
        prefix = f"{family.layers_path}.{layer}"
        for linear in family.linears:
            yield _linear(linear, shape, prefix, layer)
        for norm in family.norms:
            if norm.only_if is None or norm.only_if in shape.switches:
                yield _norm(norm, shape, prefix, layer)
    yield ModuleShape(family.final_norm_path, "norm", (shape.hidden_size,))
    yield ModuleShape(family.head_path, "head", matrix)


def _linear(linear: Linear, shape: ModelShape, prefix: str, layer: int) -> ModuleShape:
    weight = (*shape.width(linear.outputs), *shape.width(linear.inputs))
    has_bias = linear.bias in shape.switches if isinstance(linear.bias, str) else linear.bias
    return ModuleShape(f"{prefix}.{linear.name}", "linear", weight, weight[0] if has_bias else 0, layer)


def _norm(norm: Norm, shape: ModelShape, prefix: str, layer: int) -> ModuleShape:
    return ModuleShape(f"{prefix}.{norm.name}", "norm", shape.width(norm.width), layer=layer)
