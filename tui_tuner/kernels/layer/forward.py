"""The forward pass of one decoder layer, and the parts of it that backward runs again.

Products write into buffers with room for ranks beside them (`lora_layout`), so that each is one matrix product. The
input is never written to: it belongs to whoever made it.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from tui_tuner.kernels import attention, gated_product, lora_linear, rms_norm, rope
from tui_tuner.kernels.attention import Attended, Inputs
from tui_tuner.kernels.layer.parts import Batch, Layer, Policy, Projections
from tui_tuner.kernels.layer.saved import Saved
from tui_tuner.kernels.layer.workspace import Workspace
from tui_tuner.kernels.lora_layout import Extended, LoraWeight
from tui_tuner.kernels.rms_norm import Normed
from tui_tuner.kernels.rope import Heads


def forward(x: Tensor, layer: Layer, batch: Batch, space: Workspace, policy: Policy | None) -> tuple[Tensor, Saved]:
    """x [T, hidden] -> the layer's output, and what it saved; nothing is kept where policy is None (evaluation)."""
    keeps = policy or Policy()
    qkv, input_rstd = project_qkv(x, layer, layer.qkv.weight(space), space, fresh=keeps.keeps_qkv)
    inputs = attention_inputs(qkv.wide, layer, batch, space)
    attended = attention.forward(inputs, batch.layouts[layer.shape.scores])
    output = attended.output.reshape(len(x), layer.shape.queries)
    joined = join_attention(x, output, layer, space)
    gate_up = project_gate_up(joined.normed, layer, layer.gate_up.weight(space), space, fresh=keeps.keeps_gate_up)
    result, mlp = _join_mlp(joined.middle, gate_up.wide, layer, space)
    saved = Saved(
        x=x,
        attended=output,
        state=attended.state,
        input_rstd=input_rstd,
        middle_rstd=joined.rstd,
        qkv=qkv if keeps.keeps_qkv else None,
        middle=joined.middle if keeps.keeps_middle else None,
        gate_up=gate_up if keeps.keeps_gate_up else None,
        attention_output=None if joined.branch is None else joined.branch.summed,
        attention_rstd=None if joined.branch is None else joined.branch.rstd,
        mlp_output=None if mlp is None else mlp.summed,
        mlp_rstd=None if mlp is None else mlp.rstd,
    )
    return result, saved


def new_or_shared(space: Workspace, purpose: str, tokens: int, projections: Projections, *, fresh: bool) -> Extended:
    """Room for the output of projections, with the ranks of its gradient beside it; `fresh` where it is kept."""
    features, ranks = projections.layout.out_features, projections.layout.padded_rank
    if not fresh:
        return space.extended(purpose, tokens, features, ranks)
    buffer = torch.empty(tokens, features + ranks, dtype=space.dtype, device=space.device)
    return Extended.of(buffer, features)


def input_buffer(space: Workspace, purpose: str, tokens: int, projections: Projections) -> Extended:
    """Room for the input of projections, with its ranks beside it."""
    return space.extended(purpose, tokens, projections.layout.in_features, projections.layout.padded_rank)


def project_qkv(
    x: Tensor, layer: Layer, weight: LoraWeight, space: Workspace, *, fresh: bool
) -> tuple[Extended, Tensor]:
    """The norm and the product before attention. The normed input stays in the workspace as "normed"."""
    normed = input_buffer(space, "normed", len(x), layer.qkv)
    rstd = rms_norm.forward(x, layer.input_norm.weight, layer.shape.norm, output=normed.wide).rstd
    qkv = new_or_shared(space, "qkv", len(x), layer.qkv, fresh=fresh)
    lora_linear.forward(normed, weight, qkv.wide)
    return qkv, rstd


def split_heads(qkv: Tensor, layer: Layer) -> Inputs:
    """[T, queries + 2 keys] as q, k and v [T, heads, D], views."""
    shape = layer.shape
    q, k, v = qkv.split((shape.queries, shape.keys, shape.keys), dim=1)
    return Inputs(*(part.unflatten(1, (-1, shape.head_dim)) for part in (q, k, v)))


def has_head_norms(layer: Layer) -> bool:
    return layer.q_norm is not None and layer.k_norm is not None


def attention_inputs(qkv: Tensor, layer: Layer, batch: Batch, space: Workspace) -> Inputs:
    """What attention sees: turned in place, or beside it where q and k have norms, whose inputs backward needs."""
    heads = split_heads(qkv, layer)
    rotation = batch.rotations[layer.shape.rope]
    if layer.q_norm is None or layer.k_norm is None:
        rope.forward(Heads(heads.q, heads.k), rotation, Heads(heads.q, heads.k))
        return heads
    shape = layer.shape
    turned = space.matrix("turned", len(qkv), shape.queries + shape.keys).split((shape.queries, shape.keys), dim=1)
    q, k = (part.unflatten(1, (-1, shape.head_dim)) for part in turned)
    rms_norm.forward(heads.q, layer.q_norm.weight, shape.norm, output=q)
    rms_norm.forward(heads.k, layer.k_norm.weight, shape.norm, output=k)
    rope.forward(Heads(q, k), rotation, Heads(q, k))
    return Inputs(q, k, heads.v)


def inputs_again(qkv: Tensor, layer: Layer, batch: Batch, space: Workspace) -> Inputs:
    """`attention_inputs` of a kept `qkv`, which is turned already unless q and k have norms."""
    return attention_inputs(qkv, layer, batch, space) if has_head_norms(layer) else split_heads(qkv, layer)


@dataclass(frozen=True, slots=True)
class Joined:
    """The residual after attention and its norm."""

    middle: Tensor
    """[T, hidden], new."""
    normed: Extended
    """The input of the MLP, in the workspace as "normed"."""
    rstd: Tensor
    branch: Normed | None
    """Of the norm on attention's output, where the family has one."""


def join_attention(x: Tensor, attended: Tensor, layer: Layer, space: Workspace, output: Tensor | None = None) -> Joined:
    """Output projection, addition to the residual, and the norm before the MLP.

    output: what the projection gave, where it is known already.
    """
    normed = input_buffer(space, "normed", len(x), layer.gate_up)
    branch = None
    if output is None:
        # A norm of its own needs its input again in backward; else the sum is all that is kept.
        is_kept = layer.attention_norm is not None
        output = torch.empty_like(x) if is_kept else space.matrix("output", *x.shape)
        ranks = space.matrix("ranks", len(x), layer.o.layout.padded_rank)
        lora_linear.forward(Extended(attended, ranks), layer.o.weight(space), output)
    added = output
    if layer.attention_norm is not None:
        added = space.matrix("branch", *x.shape)
        branch = rms_norm.forward(output, layer.attention_norm.weight, layer.shape.norm, output=added)
    if layer.shape.residual_multiplier != 1.0:
        added.mul_(layer.shape.residual_multiplier)
    summed = rms_norm.forward(added, layer.mlp_norm.weight, layer.shape.norm, x, normed.wide)
    return Joined(summed.summed, normed, summed.rstd, branch)


def project_gate_up(normed: Extended, layer: Layer, weight: LoraWeight, space: Workspace, *, fresh: bool) -> Extended:
    gate_up = new_or_shared(space, "gate_up", len(normed.wide), layer.gate_up, fresh=fresh)
    lora_linear.forward(normed, weight, gate_up.wide)
    return gate_up


def _join_mlp(middle: Tensor, gate_up: Tensor, layer: Layer, space: Workspace) -> tuple[Tensor, Normed | None]:
    """The rest of the MLP added to the residual, in a new tensor."""
    shape = layer.shape
    product = input_buffer(space, "product", len(middle), layer.down)
    gate, up = gate_up.split(shape.intermediate, dim=1)
    gated_product.forward(gate, up, shape.activation, product.wide)
    weight = layer.down.weight(space)
    if layer.output_norm is None and shape.residual_multiplier == 1.0:
        return lora_linear.forward(product, weight, middle.clone(), add=True), None
    if layer.output_norm is None:
        output = lora_linear.forward(product, weight, space.matrix("output", *middle.shape))
        return torch.add(middle, output, alpha=shape.residual_multiplier), None
    output = lora_linear.forward(product, weight, torch.empty_like(middle))
    branch = rms_norm.forward(
        output, layer.output_norm.weight, shape.norm, output=space.matrix("branch", *middle.shape)
    )
    return torch.add(middle, branch.output, alpha=shape.residual_multiplier), branch


def attended_of(saved: Saved, layer: Layer) -> Attended:
    """As attention's backward wants it."""
    assert saved.attended is not None
    return Attended(saved.attended.unflatten(1, (-1, layer.shape.head_dim)), saved.state)
