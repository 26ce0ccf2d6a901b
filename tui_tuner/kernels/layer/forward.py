"""The forward pass of one decoder layer, and the parts of it that backward runs again.

Products write into buffers with room for ranks beside them (`lora.layout`), so that each is one matrix product. What
does not mix tokens runs in passes of a bounded number of them, so that buffers as wide as the MLP do not grow with the
context. The input is never written to: it belongs to whoever made it.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tui_tuner.kernels import gated_product, gated_rows, rms_norm, rope
from tui_tuner.kernels.attention import causal as attention
from tui_tuner.kernels.attention.causal import Attended, Inputs
from tui_tuner.kernels.layer import plain
from tui_tuner.kernels.layer.parts import Batch, Layer, LayerShape, Policy, Projections
from tui_tuner.kernels.layer.plain import Masks
from tui_tuner.kernels.layer.saved import Saved
from tui_tuner.kernels.layer.workspace import Workspace
from tui_tuner.kernels.lora import gated_ranks
from tui_tuner.kernels.lora import linear as lora_linear
from tui_tuner.kernels.lora.layout import Extended
from tui_tuner.kernels.lora.linear import AnyWeight
from tui_tuner.kernels.rms_norm import Into
from tui_tuner.kernels.rope import Heads, Rotation
from tui_tuner.kernels.tensor_cores import are_made_by_the_way


def forward(x: Tensor, layer: Layer, batch: Batch, space: Workspace, policy: Policy | None) -> tuple[Tensor, Saved]:
    """x [T, hidden] -> the layer's output, and what it saved; nothing is kept where policy is None (evaluation)."""
    saved = _room(x, layer, policy)
    saved.masks = None if batch.seed is None else Masks(batch.seed)
    qkv = project_qkv(saved, layer, layer.qkv.weight(space), space)
    _attend(saved, qkv, layer, batch, space)
    weights, result = RestWeights.of(layer, space), torch.empty_like(x)
    for rows in space.passes(len(x)):
        _rest(saved.rows(rows), result[rows], layer, weights, space)
    if policy is not None and not policy.keeps_attended:
        saved.attended, saved.state = None, ()
    return result, saved


def attend_again(saved: Saved, layer: Layer, batch: Batch, space: Workspace) -> None:
    """Put back what forward had before its passes, where it did not keep attention's output; q, k, v stay shared."""
    saved.qkv = project_qkv(saved, layer, layer.qkv.weight(space), space, is_again=True)
    _attend(saved, saved.qkv, layer, batch, space)


def _attend(saved: Saved, qkv: Extended, layer: Layer, batch: Batch, space: Workspace) -> None:
    attended = attention.forward(attention_inputs(qkv.wide, layer, batch, space), batch.layouts[layer.shape.scores])
    saved.attended, saved.state = attended.output.reshape(len(qkv.wide), layer.shape.queries), attended.state


@dataclass(frozen=True, slots=True)
class RestWeights:
    """Of what comes after attention. Those of o and down may share a scratch, so that asking for one ends the other."""

    layer: Layer
    space: Workspace
    gate_up: AnyWeight

    @classmethod
    def of(cls, layer: Layer, space: Workspace) -> "RestWeights":
        return cls(layer, space, layer.gate_up.weight(space))

    def o(self) -> AnyWeight:
        return self.layer.o.weight(self.space)

    def down(self) -> AnyWeight:
        return self.layer.down.weight(self.space)


def _room(x: Tensor, layer: Layer, policy: Policy | None) -> Saved:
    """Empty tensors for what is kept. Norms after attention and MLP need their input again in backward."""
    keeps, is_trained, like = policy or Policy(), policy is not None, _Like(x)
    after_attention = is_trained and layer.attention_norm is not None
    after_mlp = is_trained and layer.output_norm is not None
    return Saved(
        x=x,
        attended=None,
        ranks=like.matrix(layer.columns.total) if is_trained else None,
        state=(),
        input_rstd=like.numbers(),
        middle_rstd=like.numbers(),
        qkv=like.products(layer.qkv) if keeps.keeps_qkv else None,
        middle=torch.empty_like(x) if keeps.keeps_middle and layer.mlp_norm is not None else None,
        gate_up=like.products(layer.gate_up) if keeps.keeps_gate_up else None,
        attention_output=torch.empty_like(x) if after_attention else None,
        attention_rstd=like.numbers() if after_attention else None,
        mlp_output=torch.empty_like(x) if after_mlp else None,
        mlp_rstd=like.numbers() if after_mlp else None,
    )


@dataclass(frozen=True, slots=True)
class _Like:
    """New tensors for the tokens of `x`."""

    x: Tensor

    def matrix(self, features: int) -> Tensor:
        return self.x.new_empty(len(self.x), features)

    def numbers(self) -> Tensor:
        return self.x.new_empty(len(self.x), dtype=torch.float32)

    def products(self, projections: Projections) -> Extended:
        """With room for the ranks of their gradient; products in 8 bits want contiguous rows."""
        layout = projections.layout
        if projections.is_in_fp8:
            return Extended(self.matrix(layout.out_features), self.matrix(layout.padded_rank))
        return Extended.of(self.matrix(layout.out_features + layout.padded_rank), layout.out_features)


def output_buffer(space: Workspace, purpose: str, tokens: int, projections: Projections) -> Extended:
    """Room for the output of projections, with the ranks of its gradient beside it."""
    layout = projections.layout
    return space.extended(
        purpose, tokens, layout.out_features, layout.padded_rank, apart=projections.is_in_fp8
    )  # fmt: skip


def input_buffer(space: Workspace, purpose: str, tokens: int, projections: Projections) -> Extended:
    """Room for the input of projections, with its ranks beside it, and in 8 bits where products read it so."""
    layout = projections.layout
    buffer = space.extended(purpose, tokens, layout.in_features, layout.padded_rank, apart=projections.is_in_fp8)
    return replace(buffer, eight=space.eight(purpose, tokens, layout.in_features)) if projections.is_in_fp8 else buffer


def project(
    x: Extended,
    weight: AnyWeight,
    out: Tensor,
    ranks: Tensor | None,
    *,
    residual: Tensor | None = None,
    is_again: bool = False,
) -> None:
    """The product, whose ranks are noted in `ranks`, or taken from there where it is made again."""
    if is_again and ranks is not None:
        lora_linear.take_ranks(x, weight, ranks)
    else:
        _fill_ranks(x, weight, ranks)
    lora_linear.multiply(x, weight, out, residual)


def _fill_ranks(x: Extended, weight: AnyWeight, ranks: Tensor | None) -> None:
    lora_linear.fill_ranks(x, weight)
    if ranks is not None:
        ranks.copy_(x.ranks[:, : weight.layout.rank])


def project_qkv(saved: Saved, layer: Layer, weight: AnyWeight, space: Workspace, *, is_again: bool = False) -> Extended:
    """The norm and the product before attention, for all tokens: kept where the policy says so, else shared."""
    assert saved.x is not None
    whole = saved.qkv or output_buffer(space, "qkv", len(saved.x), layer.qkv)
    for rows in space.passes(len(saved.x)):
        part = saved.rows(rows)
        assert part.x is not None
        normed = input_buffer(space, "normed", len(part.x), layer.qkv)
        into = Into(output=normed.wide, rstd=part.input_rstd, eight=normed.eight)
        rms_norm.forward(part.x, layer.input_norm.weight, layer.shape.norm, into=into)
        project(normed, weight, whole.wide[rows], ranks_of(part, layer.columns.qkv), is_again=is_again)
        plain.add_adapters(normed.wide, whole.wide[rows], layer.qkv, weight, part.masks)
    return whole


def ranks_of(saved: Saved, columns: slice) -> Tensor | None:
    """x A^T of one product; None where nothing is kept."""
    return None if saved.ranks is None else saved.ranks[:, columns]


def split_heads(qkv: Tensor, layer: Layer) -> Inputs:
    """[T, queries + 2 keys] as q, k and v [T, heads, D], views."""
    shape = layer.shape
    q, k, v = qkv.split((shape.queries, shape.keys, shape.keys), dim=1)
    return Inputs(*(part.unflatten(1, (-1, shape.head_dim)) for part in (q, k, v)))


def attention_inputs(qkv: Tensor, layer: Layer, batch: Batch, space: Workspace) -> Inputs:
    """What attention sees: turned in place, or beside it where q and k have norms, whose inputs backward needs."""
    heads, rotation = split_heads(qkv, layer), rotation_of(layer, batch)
    if layer.q_norm is None or layer.k_norm is None:
        _turn(Heads(heads.q, heads.k), rotation)
        return heads
    shape = layer.shape
    turned = space.matrix("turned", len(qkv), shape.queries + shape.keys).split((shape.queries, shape.keys), dim=1)
    q, k = (part.unflatten(1, (-1, shape.head_dim)) for part in turned)
    rms_norm.forward(heads.q, layer.q_norm.weight, shape.norm, into=Into(output=q))
    rms_norm.forward(heads.k, layer.k_norm.weight, shape.norm, into=Into(output=k))
    _turn(Heads(q, k), rotation)
    return Inputs(q, k, heads.v)


def rotation_of(layer: Layer, batch: Batch) -> Rotation | None:
    """None where the layer knows no positions."""
    return None if layer.shape.rope is None else batch.rotations[layer.shape.rope]


def _turn(heads: Heads, rotation: Rotation | None) -> None:
    """In place."""
    if rotation is not None:
        rope.forward(heads, rotation, heads)


def join_attention(saved: Saved, summed: Tensor, layer: Layer, weight: AnyWeight, space: Workspace) -> Extended:
    """Output projection, addition to the residual in `summed`, and the norm before the MLP, which is returned."""
    assert saved.x is not None
    added = _attention_branch(saved, layer, weight, space)
    if layer.mlp_norm is None:
        torch.add(saved.x, added, out=summed)
        return _input_normed(saved.x, layer, space)
    normed = input_buffer(space, "normed", len(saved.x), layer.gate_up)
    into = Into(output=normed.wide, summed=summed, rstd=saved.middle_rstd, eight=normed.eight)
    rms_norm.forward(added, layer.mlp_norm.weight, layer.shape.norm, saved.x, into)
    return normed


def join_attention_again(
    saved: Saved, layer: Layer, weights: RestWeights, space: Workspace
) -> tuple[Tensor, Extended]:  # fmt: skip
    """What the norm before the MLP reads, and the input of the MLP, from what the layer kept."""
    assert saved.x is not None
    if layer.mlp_norm is None:
        return saved.x, _input_normed(saved.x, layer, space)
    normed = input_buffer(space, "normed", len(saved.x), layer.gate_up)
    if saved.middle is not None:
        into = Into(output=normed.wide, eight=normed.eight)
        rms_norm.forward(saved.middle, layer.mlp_norm.weight, layer.shape.norm, into=into)
        return saved.middle, normed
    middle = space.matrix("middle", *saved.x.shape)
    added = _attention_branch(saved, layer, weights.o(), space, is_again=True)
    into = Into(output=normed.wide, summed=middle, eight=normed.eight)
    rms_norm.forward(added, layer.mlp_norm.weight, layer.shape.norm, saved.x, into)
    return middle, normed


def _input_normed(x: Tensor, layer: Layer, space: Workspace) -> Extended:
    """The input of an MLP that works beside attention: that of attention once more."""
    normed = input_buffer(space, "normed", len(x), layer.gate_up)
    into = Into(output=normed.wide, eight=normed.eight)
    rms_norm.forward(x, layer.input_norm.weight, layer.shape.norm, into=into)
    return normed


def _attention_branch(
    saved: Saved, layer: Layer, weight: AnyWeight, space: Workspace, *, is_again: bool = False
) -> Tensor:
    """What attention adds to the residual."""
    assert saved.x is not None
    assert saved.attended is not None
    kept = saved.attention_output
    output = space.matrix("hidden", *saved.x.shape) if kept is None else kept
    if kept is None or not is_again:
        ranks = space.matrix("ranks", len(saved.x), layer.o.layout.padded_rank)
        project(
            Extended(saved.attended, ranks), weight, output, ranks_of(saved, layer.columns.o), is_again=is_again
        )  # fmt: skip
        plain.add_adapters(saved.attended, output, layer.o, weight, saved.masks)
    if layer.attention_norm is not None:
        into = Into(output=space.matrix("branch", *saved.x.shape), rstd=saved.attention_rstd)
        output = rms_norm.forward(output, layer.attention_norm.weight, layer.shape.norm, into=into).output
    multiplier = layer.shape.residual_multiplier
    return output if multiplier == 1.0 else output.mul_(multiplier)


def project_gate_up(
    normed: Extended, saved: Saved, layer: Layer, weight: AnyWeight, space: Workspace, *, is_again: bool = False
) -> Extended:
    gate_up = saved.gate_up or output_buffer(space, "gate_up", len(normed.wide), layer.gate_up)
    project(normed, weight, gate_up.wide, ranks_of(saved, layer.columns.gate_up), is_again=is_again)
    plain.add_adapters(normed.wide, gate_up.wide, layer.gate_up, weight, saved.masks)
    return gate_up


def _rest(saved: Saved, result: Tensor, layer: Layer, weights: RestWeights, space: Workspace) -> None:
    """From attention's output to the layer's, for the tokens of one pass."""
    middle = result if saved.middle is None else saved.middle
    normed = join_attention(saved, middle, layer, weights.o(), space)
    gate_up = project_gate_up(normed, saved, layer, weights.gate_up, space)
    shape = layer.shape
    product, down = input_buffer(space, "product", len(result), layer.down), weights.down()
    _gate(gate_up.wide.split(shape.intermediate, dim=1), product, down, ranks_of(saved, layer.columns.down), shape)
    if layer.output_norm is None and shape.residual_multiplier == 1.0 and layer.down.is_one_product:
        lora_linear.multiply(product, down, result, middle)
        return
    output = space.matrix("hidden", *result.shape) if saved.mlp_output is None else saved.mlp_output
    lora_linear.multiply(product, down, output)
    plain.add_adapters(product.wide, output, layer.down, down, saved.masks)
    if layer.output_norm is not None:
        into = Into(output=space.matrix("branch", *result.shape), rstd=saved.mlp_rstd)
        output = rms_norm.forward(output, layer.output_norm.weight, shape.norm, into=into).output
    torch.add(middle, output, alpha=shape.residual_multiplier, out=result)


def _gate(
    gate_up: tuple[Tensor, ...], product: Extended, down: AnyWeight, ranks: Tensor | None, shape: LayerShape
) -> None:
    """The gated product and its ranks, as it is made where they are few; noted in `ranks`."""
    (gate, up), rank = gate_up, down.layout.rank
    if product.eight is not None:
        gated_rows.forward(gate, up, shape.activation, product.wide, product.eight)
    elif rank > 0 and are_made_by_the_way(rank, gate):
        gated_ranks.forward(gate, up, shape.activation, product.wide, down.a[:rank], product.ranks, ranks)
        return
    else:
        gated_product.forward(gate, up, shape.activation, product.wide)
    _fill_ranks(product, down, ranks)


def attended_of(saved: Saved, layer: Layer) -> Attended:
    """As attention's backward wants it."""
    assert saved.attended is not None
    return Attended(saved.attended.unflatten(1, (-1, layer.shape.head_dim)), saved.state)
