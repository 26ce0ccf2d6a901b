"""The backward pass of one decoder layer. Gradients of adapters and norms are added where they belong; the one of the
residual is written over on its way down.

What was not kept is made again here: of the products those of q, k, v and of gate and up (and of o, where the residual
after it was not kept), and attention only where its output was not kept. Buffers are written over as soon as they were
read for the last time: gate and up become their own gradients, and the gradient of their product becomes the product.
An adapter's gradient needs the input of its product, which for kept products is only there after the norm's backward
pass has made it again; so it comes last in each part. Only those that want the gated product or the gradients of gate
and up are added where these are made, which are the widest tensors of a layer.
"""

from dataclasses import replace

from torch import Tensor

from tui_tuner.kernels import gated_product, gated_rows, rms_norm, rope
from tui_tuner.kernels.attention import causal as attention
from tui_tuner.kernels.attention.causal import Inputs
from tui_tuner.kernels.gated_product import GatedGradients
from tui_tuner.kernels.layer import plain
from tui_tuner.kernels.layer.forward import (
    RestWeights,
    attend_again,
    attended_of,
    attention_inputs,
    input_buffer,
    join_attention_again,
    output_buffer,
    project_gate_up,
    project_qkv,
    ranks_of,
    rotation_of,
    split_heads,
)
from tui_tuner.kernels.layer.parts import Batch, Layer, NormWeight, Projections
from tui_tuner.kernels.layer.plain import Masks
from tui_tuner.kernels.layer.saved import Saved
from tui_tuner.kernels.layer.workspace import Workspace
from tui_tuner.kernels.lora import gated_sums
from tui_tuner.kernels.lora import linear as lora_linear
from tui_tuner.kernels.lora.fp8 import Fp8LoraWeight
from tui_tuner.kernels.lora.gated_sums import ThinSum, ThinSums
from tui_tuner.kernels.lora.gradients import add_a_gradients, add_b_gradients
from tui_tuner.kernels.lora.layout import Extended
from tui_tuner.kernels.lora.linear import AnyWeight
from tui_tuner.kernels.rms_norm import Into, Norm, Normed
from tui_tuner.kernels.rope import Heads
from tui_tuner.kernels.tensor_cores import are_made_by_the_way


def backward(
    grad: Extended, layer: Layer, batch: Batch, space: Workspace, saved: Saved, *, wants_x: bool = True
) -> None:
    """grad: of the output [T, hidden], with room for the ranks of `down` and of `o`; becomes the gradient of the input
    where that is wanted.
    """
    if saved.attended is None:
        attend_again(saved, layer, batch, space)
    weights = RestWeights.of(layer, space)
    grad_attended = space.matrix("grad_attended", len(grad.wide), layer.shape.queries)
    for rows in space.passes(len(grad.wide)):
        part, here = saved.rows(rows), grad.rows(rows)
        output, down = (here.with_ranks(one.layout.padded_rank) for one in (layer.o, layer.down))
        if layer.mlp_norm is None:
            # Attention and MLP, side by side, both get the gradient of the output; the MLP's norm adds to it.
            _through_output(output, layer, weights.o(), space, part, grad_attended[rows])
            _mlp(down, layer, weights, space, part)
        else:
            _mlp(down, layer, weights, space, part)
            _through_output(output, layer, weights.o(), space, part, grad_attended[rows])
    _attention(grad.wide, grad_attended, layer, batch, space, saved, wants_x=wants_x)


def _mlp(grad: Extended, layer: Layer, weights: RestWeights, space: Workspace, saved: Saved) -> None:
    """`grad` becomes that of what the norm before the MLP reads: the residual after attention, or the layer's input."""
    shape, tokens = layer.shape, len(grad.wide)
    read = saved.x if layer.mlp_norm is None else saved.middle
    has_normed = read is None or saved.gate_up is None
    if read is None or saved.gate_up is None:
        read, normed = join_attention_again(saved, layer, weights, space)
    else:
        normed = input_buffer(space, "normed", tokens, layer.gate_up)
    gate_up = saved.gate_up or project_gate_up(normed, saved, layer, weights.gate_up, space, is_again=True)
    branch = _branch(grad, layer.output_norm, (saved.mlp_output, saved.mlp_rstd), layer.down, (layer, space))
    product, down = input_buffer(space, "product", tokens, layer.down), weights.down()
    _through(branch, layer.down, down, product.wide, saved.masks)
    sums = _sums(branch, layer, saved)
    gate_up = _through_gate(product.wide, gate_up, layer, weights.gate_up, space, sums)
    ranks = ranks_of(saved, layer.columns.down)
    # Where there are sums, nobody asks for the product any more, which is not there.
    _adapters(branch, product.wide, layer.down, down, ranks, saved.masks, adds_a=sums is None)
    grad_normed = space.matrix("hidden", *read.shape)
    _through(gate_up, layer.gate_up, weights.gate_up, grad_normed, saved.masks)
    rstd = saved.input_rstd if layer.mlp_norm is None else saved.middle_rstd
    _norm(
        grad_normed, Normed(read, rstd, read), layer.mlp_norm or layer.input_norm, shape.norm, grad.wide, grad.wide,
        None if has_normed else normed.wide,
    )  # fmt: skip
    ranks = ranks_of(saved, layer.columns.gate_up)
    _adapters(gate_up, normed.wide, layer.gate_up, weights.gate_up, ranks, saved.masks, adds_b=sums is None)


def _sums(grad: Extended, layer: Layer, saved: Saved) -> ThinSums | None:
    """Gradients of adapters that are added while those of gate and up are made, before their product is forgotten; None
    where each is a product of its own: for a base in 8 bits, adapters of `down` beside it, and what is not made by the
    way.
    """
    known = ranks_of(saved, layer.columns.gate_up)
    assert known is not None
    if layer.down.plain or layer.gate_up.is_in_fp8:
        return None
    down = () if layer.down.places is None else layer.down.places.adapters
    gate, up = (_of_half(half, layer, known) for half in range(2))
    sums = ThinSums(next((ThinSum(grad.ranks[:, one.ranks], one.a) for one in down), None), gate, up)
    return sums if are_made_by_the_way(sums.rank, known) else None


def _of_half(half: int, layer: Layer, ranks: Tensor) -> ThinSum | None:
    """dB of gate (0) or of up (1), which may be half of one projection's. ranks: x A^T of both."""
    size = layer.shape.intermediate
    for one in () if layer.gate_up.places is None else layer.gate_up.places.adapters:
        start = half * size - one.rows.start
        if 0 <= start < len(one.b):
            return ThinSum(ranks[:, one.ranks], one.b[start : start + size].T, one.scaling)
    return None


def _through_gate(
    grad: Tensor, gate_up: Extended, layer: Layer, weight: AnyWeight, space: Workspace, sums: ThinSums | None
) -> Extended:
    """`gate_up` becomes its gradient, and `grad`, of the gated product, that product, unless `sums` did with it what is
    to be done.
    """
    shape = layer.shape
    gate, up = gate_up.wide.split(shape.intermediate, dim=1)
    into = GatedGradients(gate, up, grad if sums is None else None)
    if isinstance(weight, Fp8LoraWeight):
        assert sums is None
        eight, factors = space.eight("grad_gate_up", *gate_up.wide.shape), weight.base.column_factors
        gated_rows.backward(grad, gate, up, shape.activation, into, factors, eight)
        return replace(gate_up, eight=eight)
    if sums is not None and sums.rank > 0:
        gated_sums.backward(grad, gate, up, shape.activation, sums)
    else:
        gated_product.backward(grad, gate, up, shape.activation, into)
    return gate_up


def _through_output(
    grad: Extended, layer: Layer, weight: AnyWeight, space: Workspace, saved: Saved, grad_attended: Tensor
) -> None:
    """`grad_attended` becomes the gradient of attention's output [T, queries]."""
    assert saved.attended is not None
    normed = (saved.attention_output, saved.attention_rstd)
    branch = _branch(grad, layer.attention_norm, normed, layer.o, (layer, space))
    _through(branch, layer.o, weight, grad_attended, saved.masks)
    _adapters(branch, saved.attended, layer.o, weight, ranks_of(saved, layer.columns.o), saved.masks)


def _attention(
    grad: Tensor, grad_attended: Tensor, layer: Layer, batch: Batch, space: Workspace, saved: Saved, *, wants_x: bool
) -> None:
    """From the gradient of attention's output to that of the layer's input, which is added to the residual's."""
    shape, weight = layer.shape, layer.qkv.weight(space)
    qkv = saved.qkv or project_qkv(saved, layer, weight, space, is_again=True)
    is_turned = saved.qkv is not None and layer.q_norm is None
    inputs = split_heads(qkv.wide, layer) if is_turned else attention_inputs(qkv.wide, layer, batch, space)
    heads = grad_attended.unflatten(1, (-1, shape.head_dim))
    with space.lent("gate_up"):
        gradients = attention.backward(heads, inputs, attended_of(saved, layer), batch.layouts[shape.scores])
        _turn_back(gradients, qkv.wide, layer, batch)
        del gradients
    for rows in space.passes(len(grad)):
        _through_qkv(qkv.rows(rows), grad[rows], layer, weight, space, saved.rows(rows), wants_x=wants_x)


def _through_qkv(
    qkv: Extended, grad: Tensor, layer: Layer, weight: AnyWeight, space: Workspace, saved: Saved, *, wants_x: bool
) -> None:
    """`qkv` is its gradient; `grad`, of the residual, becomes that of the input."""
    x, shape = saved.x, layer.shape
    assert x is not None
    normed = input_buffer(space, "normed", len(x), layer.qkv)
    if wants_x or layer.input_norm.gradient is not None:
        grad_normed = space.matrix("hidden", *x.shape)
        _through(qkv, layer.qkv, weight, grad_normed, saved.masks)
        _norm(
            grad_normed, Normed(x, saved.input_rstd, x), layer.input_norm, shape.norm, grad, grad, normed.wide
        )  # fmt: skip
    else:
        _through(qkv, layer.qkv, weight, None, saved.masks)
        rms_norm.forward(x, layer.input_norm.weight, shape.norm, into=Into(output=normed.wide))
    _adapters(qkv, normed.wide, layer.qkv, weight, ranks_of(saved, layer.columns.qkv), saved.masks)


def _branch(
    grad: Extended,
    weight: NormWeight | None,
    normed: tuple[Tensor | None, Tensor | None],
    projections: Projections,
    context: tuple[Layer, Workspace],
) -> Extended:
    """The gradient of what `projections` gave, from that of the residual which it joined."""
    layer, space = context
    multiplier = layer.shape.residual_multiplier
    if weight is None and multiplier == 1.0 and not projections.scales_gradient:
        return grad
    branch = output_buffer(space, "grad_branch", len(grad.wide), projections)
    branch.wide.copy_(grad.wide)
    if multiplier != 1.0:
        branch.wide.mul_(multiplier)
    summed, rstd = normed
    if weight is not None and summed is not None and rstd is not None:
        _norm(branch.wide, Normed(summed, rstd, summed), weight, layer.shape.norm, None, branch.wide)
    return branch


def _turn_back(gradients: Inputs, qkv: Tensor, layer: Layer, batch: Batch) -> None:
    """Gradients of what attention saw -> those of the product, written over the product."""
    heads, rotation = split_heads(qkv, layer), rotation_of(layer, batch)
    source = Heads(gradients.q, gradients.k, gradients.v)
    has_norms = layer.q_norm is not None and layer.k_norm is not None
    into = Heads(gradients.q, gradients.k, heads.v) if has_norms else Heads(heads.q, heads.k, heads.v)
    if rotation is not None:
        rope.backward(source, rotation, into)
    else:
        for target, one in ((into.q, source.q), (into.k, source.k), (heads.v, gradients.v)):
            target.copy_(one)
    if layer.q_norm is None or layer.k_norm is None:
        return
    norm = layer.shape.norm
    for raw, grad, weight in ((heads.q, gradients.q, layer.q_norm), (heads.k, gradients.k, layer.k_norm)):
        again = rms_norm.forward(raw, weight.weight, norm)
        _norm(grad, Normed(raw, again.rstd, raw), weight, norm, None, raw)


def _norm(
    grad: Tensor, normed: Normed, weight: NormWeight, norm: Norm, grad_summed: Tensor | None, grad_x: Tensor,
    output: Tensor | None = None,
) -> None:  # fmt: skip
    result = rms_norm.backward(
        grad, normed, weight.weight, norm, grad_summed,
        trains_weight=weight.gradient is not None, grad_x=grad_x, output=output,
    )  # fmt: skip
    if weight.gradient is not None and result.weight is not None:
        weight.gradient.add_(result.weight)


def _through(
    grad: Extended, projections: Projections, weight: AnyWeight, grad_x: Tensor | None, masks: Masks | None
) -> None:
    """The gradient of what projections read into `grad_x`, where that is wanted; fills the ranks of `grad`."""
    plain.scale_gradient(grad.wide, projections, weight, masks)
    lora_linear.fill_gradient_ranks(grad, weight)
    if grad_x is not None:
        lora_linear.input_gradient(grad, weight, grad_x)
        plain.add_input_gradient(grad.wide, grad_x, projections, weight, masks)


def _adapters(
    grad: Extended,
    x: Tensor,
    projections: Projections,
    weight: AnyWeight,
    ranks: Tensor | None,
    masks: Masks | None,
    *,
    adds_a: bool = True,
    adds_b: bool = True,
) -> None:
    """Add the gradients of adapters, all or those that are not there yet. ranks: x A^T, as the layer kept it."""
    if projections.places is not None and ranks is not None:
        if adds_b:
            add_b_gradients(grad.wide, ranks, projections.places)
        if adds_a:
            add_a_gradients(grad.ranks, x, projections.places)
    plain.add_gradients(grad.wide, x, projections, weight, masks)
