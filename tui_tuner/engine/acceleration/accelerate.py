"""Puts our own decoder layers beside the model's: joined weights, flat trained parameters, and the policy of the plan.

The model's modules stay in their tree and read the same memory, so that generation, saving and the proof use them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from tui_tuner.engine.acceleration.decoder import Decoder, FixedShape
from tui_tuner.engine.acceleration.flattening import FlatSet, flatten
from tui_tuner.engine.acceleration.graphs import GraphedSteps
from tui_tuner.engine.acceleration.layers import JoinedLayer, Reading, joined_layers, norm_of, working_copies
from tui_tuner.engine.acceleration.micro_step import MicroStep, can_step
from tui_tuner.engine.acceleration.obstacles import obstacle, text_config
from tui_tuner.engine.acceleration.rotations import Rotations
from tui_tuner.engine.adapters import TrainedSet
from tui_tuner.engine.loading import recompute_layers
from tui_tuner.engine.model import TrainingModel
from tui_tuner.errors import ModelError
from tui_tuner.families import LayerParts, ModelFamily, family_for
from tui_tuner.kernels.flat_parameters import refresh_copies
from tui_tuner.kernels.layer.parts import KEEP, OFFLOAD, OFFLOAD_INPUT, OFFLOAD_LEAN, RECOMPUTE, Policy
from tui_tuner.kernels.layer.saved import HostMemory
from tui_tuner.kernels.layer.stack import Stack
from tui_tuner.kernels.layer.workspace import Workspace
from tui_tuner.kernels.linear_cross_entropy import Head
from tui_tuner.plan import RunPlan, Sends
from tui_tuner.planning.own_layers.counts import layer_counts
from tui_tuner.planning.own_layers.memory import lends_buffers

__all__ = ["Prepared", "fixed_shape", "policies", "prepare", "refitted"]

LAUNCHED_SHARE = 0.98
"""Least share of a pack that is filled up where nothing is recorded: it saves the allocator pieces of other sizes."""
OFFLOADS: Mapping[Sends, Policy] = {"all": OFFLOAD, "attended": OFFLOAD_LEAN, "input": OFFLOAD_INPUT}


@dataclass(frozen=True, slots=True)
class Prepared:
    """A model that is ready to be trained."""

    model: TrainingModel
    flat: FlatSet | None
    """None where the whole model is trained: two copies of it would not fit."""


def prepare(model: TrainingModel, trained: TrainedSet, plan: RunPlan, groups: Mapping[str, int]) -> Prepared:
    """Our own layers where they can be; else the model's own, which recompute where the plan says so.

    Args:
        groups: number of each group of trained tensors in the optimizer.

    Raises:
        ModelError: the base is in fp8, and only the loaded model shows that our own layers cannot compute it.
    """
    reason = obstacle(plan, model.module) if model.head is not None else "the loss needs the model's own logits"
    if reason is not None and plan.quantization == "fp8":
        message = (
            f'model.quantization is "fp8", which only our own decoder layers compute in; here they cannot: {reason}.'
        )
        raise ModelError(message, 'Set model.quantization to "none" or "nf4".')
    family = family_for(plan.model.model_type)
    if reason is not None or family.layer is None:
        if plan.recompute != "off":
            recompute_layers(model.module)
        flat = None if plan.adapter.method == "full" else flatten(trained, groups, {})
        return Prepared(replace(model, obstacle=reason or ""), flat)
    reading = Reading(
        text_config(model.module),
        _rope_kinds(model, family),
        model.compute_dtype,
        keeps_transposed=plan.keeps_transposed,
        dequantized_layers=plan.dequantized_layers,
    )
    layers = joined_layers(family.layers_path, model.module, family.layer, reading)
    flat = flatten(trained, groups, working_copies(layers))
    refresh_copies(flat.flat)
    if model.device.type == "cuda":
        # What the weights lay in before they were joined fits nothing that comes later.
        torch.cuda.empty_cache()
    decoder = _decoder(model, family, family.layer, reading, _stack(model, trained, layers, flat, plan))
    return Prepared(replace(model, decoder=decoder, micro_step=_micro_step(model, decoder, plan)), flat)


def refitted(model: TrainingModel, plan: RunPlan) -> TrainingModel:
    """The same model whose layers keep what the plan says now; recordings of before are dropped.

    A model that computes its layers itself can only be told to compute them again, which it then does for good.
    """
    if model.decoder is None:
        if plan.recompute != "off" and not model.module.is_gradient_checkpointing:
            recompute_layers(model.module)
        return model
    model.drop_buffers()
    stack = replace(model.decoder.stack, policies=policies(plan, len(model.decoder.stack.layers)))
    decoder = replace(model.decoder, stack=stack)
    return replace(model, decoder=decoder, micro_step=_micro_step(model, decoder, plan))


def _micro_step(model: TrainingModel, decoder: Decoder, plan: RunPlan) -> MicroStep | GraphedSteps | None:
    """As a CUDA graph where the host would be slower than the device."""
    weight: Tensor = model.module.get_output_embeddings().weight  # type: ignore[operator]
    if model.head is None or not can_step(decoder, weight):
        return None
    # A recording would drop the same elements each time.
    is_recorded = model.device.type == "cuda" and not decoder.drops and not decoder.stack.space.lends
    step = MicroStep(decoder, Head(weight, options=model.head), fixed_shape(plan, is_recorded=is_recorded))
    return GraphedSteps(step) if is_recorded else step


def fixed_shape(plan: RunPlan, *, is_recorded: bool) -> FixedShape | None:
    """Of packs on a GPU: all micro-batches of a run get it but those that are far from full."""
    if plan.device != "cuda" or not plan.data.packing:
        return None
    longest = plan.data.max_length
    tokens = plan.schedule.micro_batch_size * longest
    return FixedShape(tokens, longest) if is_recorded else FixedShape(tokens, least_share=LAUNCHED_SHARE)


def _stack(model: TrainingModel, trained: TrainedSet, layers: list[JoinedLayer], flat: FlatSet, plan: RunPlan) -> Stack:
    lends = lends_buffers(plan.model, on_gpu=model.device.type == "cuda")
    return Stack(
        tuple(layer.placed(flat) for layer in layers),
        policies(plan, len(layers)),
        Workspace(model.compute_dtype, model.device, lends=lends),
        HostMemory(model.device),
        trained.tensors[0].parameter,
    )


def policies(plan: RunPlan, num_layers: int) -> tuple[Policy, ...]:
    """The last layers keep most: their backward pass comes first, and what they kept is gone when others replay."""
    counts = plan.layers or layer_counts(plan.recompute, num_layers)
    return (OFFLOADS[counts.sends],) * counts.offload + (RECOMPUTE,) * counts.recompute + (KEEP,) * counts.keep


def _rope_kinds(model: TrainingModel, family: ModelFamily) -> tuple[str | None, ...]:
    types = _rotary(model, family).rope_type
    return tuple(types) if isinstance(types, dict) else (None,)


def _rotary(model: TrainingModel, family: ModelFamily) -> nn.Module:
    return model.module.get_submodule(family.decoder_path).get_submodule("rotary_emb")


def _decoder(
    model: TrainingModel, family: ModelFamily, parts: LayerParts, reading: Reading, stack: Stack
) -> Decoder:  # fmt: skip
    final_norm = model.module.get_submodule(family.final_norm_path)
    multiplier = 1.0 if parts.embedding_multiplier is None else getattr(reading.config, parts.embedding_multiplier)
    rotary = _rotary(model, family)
    trained_length = int(getattr(rotary, "original_max_seq_len", reading.config.max_position_embeddings))
    return Decoder(
        embedding=model.module.get_submodule(family.embedding_path),
        embedding_multiplier=float(multiplier),
        stack=stack,
        rotations=Rotations(
            rotary, reading.rope_kinds, torch.device(model.device), trained_length, parts.has_interleaved_rope
        ),
        final_norm=final_norm.get_parameter("weight"),
        norm=norm_of(final_norm, parts),
        drops=any(one.probability > 0.0 for layer in stack.layers for one in layer.plain),
    )
