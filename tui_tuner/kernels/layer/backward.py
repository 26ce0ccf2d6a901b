"""The backward pass of one decoder layer. Gradients of adapters and norms are added where they belong; the one of the
input goes into a buffer of the caller.

What was not kept is made again here: of the products only those of q, k, v and of gate and up, never attention. Buffers
are written over as soon as they were read for the last time: gate and up become their own gradients, and the gradient
of their product becomes the product. An adapter's gradient needs the input of its layer, which for kept products is
only there after the norm's backward pass has made it again; so it comes last in each part.
"""

from torch import Tensor

from tui_tuner.kernels import attention, gated_product, lora_linear, rms_norm, rope
from tui_tuner.kernels.adapter_gradients import add_adapter_gradients
from tui_tuner.kernels.attention import Inputs
from tui_tuner.kernels.gated_product import GatedGradients
from tui_tuner.kernels.layer.forward import (
    attended_of,
    attention_inputs,
    input_buffer,
    join_attention,
    new_or_shared,
    project_gate_up,
    project_qkv,
    split_heads,
)
from tui_tuner.kernels.layer.parts import Batch, Layer, NormWeight, Projections
from tui_tuner.kernels.layer.saved import Saved
from tui_tuner.kernels.layer.workspace import Workspace
from tui_tuner.kernels.lora_layout import Extended, LoraWeight
from tui_tuner.kernels.rms_norm import Norm, Normed
from tui_tuner.kernels.rope import Heads


def backward(
    grad: Extended, layer: Layer, batch: Batch, space: Workspace, saved: Saved, grad_x: Extended | None
) -> None:
    """grad: of the output [T, hidden], with room for the ranks of `down`; its ranks are written to.

    grad_x: may be the storage of `grad`; None where nothing below the layer is trained.
    """
    grad_middle = _mlp(grad, layer, space, saved)
    _attention(grad_middle, layer, batch, space, saved, grad_x)


def _mlp(grad: Extended, layer: Layer, space: Workspace, saved: Saved) -> Extended:
    """The gradient of the residual after attention, with room for the ranks of `o`."""
    shape, tokens = layer.shape, len(grad.wide)
    middle, weight = _middle(layer, space, saved), layer.gate_up.weight(space)
    normed, gate_up = input_buffer(space, "normed", tokens, layer.gate_up), saved.gate_up
    is_again = gate_up is None
    if gate_up is None:
        rms_norm.forward(middle, layer.mlp_norm.weight, shape.norm, output=normed.wide)
        gate_up = project_gate_up(normed, layer, weight, space, fresh=False)
    branch = _branch(grad, layer.output_norm, (saved.mlp_output, saved.mlp_rstd), layer.down, (layer, space))
    product = input_buffer(space, "product", tokens, layer.down)
    down = layer.down.weight(space)
    lora_linear.fill_gradient_ranks(branch, down)
    lora_linear.input_gradient(branch, down, product.wide)
    gate, up = gate_up.wide.split(shape.intermediate, dim=1)
    gated_product.backward(product.wide, gate, up, shape.activation, GatedGradients(gate, up, product.wide))
    _adapters(branch, product, layer.down, down, has_ranks=False)
    lora_linear.fill_gradient_ranks(gate_up, weight)
    grad_normed = space.matrix("grad_normed", *middle.shape)
    lora_linear.input_gradient(gate_up, weight, grad_normed)
    grad_middle = new_or_shared(space, "grad_middle", tokens, layer.o, fresh=False)
    _norm(
        grad_normed, Normed(middle, saved.middle_rstd, middle), layer.mlp_norm, shape.norm, grad.wide,
        grad_middle.wide, None if is_again else normed.wide,
    )  # fmt: skip
    _adapters(gate_up, normed, layer.gate_up, weight, has_ranks=is_again)
    return grad_middle


def _middle(layer: Layer, space: Workspace, saved: Saved) -> Tensor:
    if saved.middle is not None:
        return saved.middle
    assert saved.x is not None
    assert saved.attended is not None
    return join_attention(saved.x, saved.attended, layer, space, saved.attention_output).middle


def _attention(
    grad: Extended, layer: Layer, batch: Batch, space: Workspace, saved: Saved, grad_x: Extended | None
) -> None:
    shape, x, attended = layer.shape, saved.x, saved.attended
    assert x is not None
    assert attended is not None
    grad_attended = _through_output(grad, layer, space, saved, attended)
    weight, qkv = layer.qkv.weight(space), saved.qkv
    is_again = qkv is None
    if qkv is None:
        qkv, _ = project_qkv(x, layer, weight, space, fresh=False)
    is_turned = not is_again and layer.q_norm is None
    inputs = split_heads(qkv.wide, layer) if is_turned else attention_inputs(qkv.wide, layer, batch, space)
    heads = grad_attended.unflatten(1, (-1, shape.head_dim))
    gradients = attention.backward(heads, inputs, attended_of(saved, layer), batch.layouts[shape.scores])
    _turn_back(gradients, qkv.wide, layer, batch)
    lora_linear.fill_gradient_ranks(qkv, weight)
    normed = input_buffer(space, "normed", len(x), layer.qkv)
    if grad_x is None and layer.input_norm.gradient is None:
        if not is_again:
            rms_norm.forward(x, layer.input_norm.weight, shape.norm, output=normed.wide)
    else:
        grad_normed = space.matrix("grad_normed", *x.shape)
        lora_linear.input_gradient(qkv, weight, grad_normed)
        _norm(
            grad_normed, Normed(x, saved.input_rstd, x), layer.input_norm, shape.norm, grad.wide,
            grad_normed if grad_x is None else grad_x.wide, None if is_again else normed.wide,
        )  # fmt: skip
    _adapters(qkv, normed, layer.qkv, weight, has_ranks=is_again)


def _through_output(grad: Extended, layer: Layer, space: Workspace, saved: Saved, attended: Tensor) -> Tensor:
    """The gradient of attention's output [T, queries]."""
    normed = (saved.attention_output, saved.attention_rstd)
    branch = _branch(grad, layer.attention_norm, normed, layer.o, (layer, space))
    weight = layer.o.weight(space)
    lora_linear.fill_gradient_ranks(branch, weight)
    grad_attended = space.matrix("grad_attended", *attended.shape)
    lora_linear.input_gradient(branch, weight, grad_attended)
    ranks = space.matrix("ranks", len(attended), layer.o.layout.padded_rank)
    _adapters(branch, Extended(attended, ranks), layer.o, weight, has_ranks=False)
    return grad_attended


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
    if weight is None and multiplier == 1.0:
        return grad
    branch = new_or_shared(space, "grad_branch", len(grad.wide), projections, fresh=False)
    branch.wide.copy_(grad.wide)
    if multiplier != 1.0:
        branch.wide.mul_(multiplier)
    summed, rstd = normed
    if weight is not None and summed is not None and rstd is not None:
        _norm(branch.wide, Normed(summed, rstd, summed), weight, layer.shape.norm, None, branch.wide)
    return branch


def _turn_back(gradients: Inputs, qkv: Tensor, layer: Layer, batch: Batch) -> None:
    """Gradients of what attention saw -> those of the product, written over the product."""
    heads, rotation = split_heads(qkv, layer), batch.rotations[layer.shape.rope]
    source = Heads(gradients.q, gradients.k, gradients.v)
    if layer.q_norm is None or layer.k_norm is None:
        rope.backward(source, rotation, Heads(heads.q, heads.k, heads.v))
        return
    rope.backward(source, rotation, Heads(gradients.q, gradients.k, heads.v))
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


def _adapters(grad: Extended, x: Extended, projections: Projections, weight: LoraWeight, *, has_ranks: bool) -> None:
    """Add the gradients of A and B. has_ranks: whether `x.ranks` is there from a product that was made again."""
    if projections.places is None:
        return
    if not has_ranks:
        lora_linear.fill_ranks(x, weight)
    add_adapter_gradients(grad, x, projections.places)
