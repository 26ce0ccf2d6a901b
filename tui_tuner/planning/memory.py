"""Expected peak memory of a run on its device, by component. An estimate: the probe step of a run has the last word."""

from dataclasses import dataclass
from typing import Literal

from tui_tuner.families import family_for
from tui_tuner.plan import AdapterPlan, LayerCounts, MemoryEstimate, ModelFacts
from tui_tuner.planning.own_layers.memory import (
    backward_bytes,
    dequantized_bytes,
    forward_bytes,
    fp8_bytes,
    head_bytes,
    hold_logits,
    host_bytes,
    joined_bytes,
    kept_bytes,
    plain_bytes,
    shared_bytes,
)

GIB = 2**30
# NF4 with double quantisation: 4 bits, an 8-bit scale for 64 weights, a 32-bit scale for 256 scales (QLoRA, section 3).
NF4_BITS_PER_WEIGHT = 4 + 8 / 64 + 32 / (64 * 256)
TRAINED_BYTES = 4
"""Everything that is trained is held in float32."""
LOSS_CHUNK_BYTES = 256 * 2**20
"""Logits that exist at the same time when the loss is computed outside the model's forward."""
GPU_RESERVE = int(0.75 * GIB)
"""CUDA context and loaded kernels, which the allocator does not count."""
CPU_RESERVE = int(0.5 * GIB)
FRAGMENTATION = 0.05
"""Share of activations that is lost to blocks of other sizes."""
FRAGMENTATION_OF_OURS = 0.03
"""The same of our own layers, whose tensors have the same few sizes in every layer."""
LIBRARY_BYTES = 64 * 2**20
"""Work spaces of cuBLAS, which the allocator counts."""
SCORES_ON_CPU = 6
"""Float32 matrices of a sequence's tokens with each other, for each head, that plain attention has at the same time."""
HEADS_ON_CPU = 8
"""Tensors of the queries' size that torch's attention for processors has, which knows no shared heads."""
# AdamW holds two moments a parameter: 4 bytes each, or 1 byte each with a float32 scale for 256 (bitsandbytes).
OPTIMIZER_BYTES = {
    "adamw": 8.0,
    "paged_adamw": 8.0,
    "adamw_8bit": 2 + 2 * 4 / 256,
    "paged_adamw_8bit": 2 + 2 * 4 / 256,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MemorySettings:
    """What of a run's settings decides its memory."""

    device: Literal["cpu", "cuda"]
    dtype: Literal["bfloat16", "float32"]
    quantization: Literal["none", "fp8", "nf4"]
    keeps_transposed: bool = False
    """Whether a base in fp8 is held in both orders."""
    dequantized_layers: int = 0
    """Layers whose base in NF4 is held in the compute type as well."""
    recompute: Literal["off", "selective", "layers", "offload"]
    layers: LayerCounts | None = None
    """What our own layers keep; None where the model computes its layers itself."""
    optimizer: str
    micro_batch_size: int
    length: int
    """Tokens of the longest sequence."""
    chunked_loss: bool
    available: int | None
    host_available: int | None = None
    """Free memory of the host, where it is not the device's."""


def estimate_memory(model: ModelFacts, adapter: AdapterPlan, settings: MemorySettings) -> MemoryEstimate:
    """Weights, trained parameters and their states, activations and loss of one micro-batch, and a reserve.

    Counted for our own layers where they are used, else for Hugging Face modules with SDPA attention. A paged
    optimizer's states are counted as if they stayed on the device. What the allocator of a GPU will say at its peak is
    the total without the reserve.
    """
    trainable = adapter.num_trainable * TRAINED_BYTES
    is_full = adapter.method == "full"
    activations = activation_bytes(model, adapter, settings)
    own = settings.layers is not None
    lost = FRAGMENTATION_OF_OURS if own else FRAGMENTATION
    parts = {
        "weights": weight_bytes(model, adapter, settings),
        "adapters": 0 if is_full else trainable + (_joined_bytes(model, adapter, settings) if own else 0),
        "gradients": trainable,
        "optimizer": int(adapter.num_trainable * OPTIMIZER_BYTES[settings.optimizer]),
        "activations": activations,
        "loss": loss_bytes(model, adapter, settings),
        "reserve": (GPU_RESERVE if settings.device == "cuda" else CPU_RESERVE) + int(lost * activations),
    }
    return MemoryEstimate(
        **parts,
        total=sum(parts.values()),
        available=settings.available,
        host=estimate_host(model, adapter, settings),
        host_available=settings.host_available,
    )


def weight_bytes(model: ModelFacts, adapter: AdapterPlan, settings: MemorySettings) -> int:
    """The base: NF4 and fp8 shrink the linear modules of the layers, the rest stays in the compute type.

    The scales of fp8, one for each output, are too few to count.
    Whole modules that are trained move to float32 and are counted with the adapters. Full fine-tuning holds float32
    weights, and in bfloat16 a copy of them for the products.
    """
    element = _element_bytes(settings)
    if adapter.method == "full":
        return model.num_parameters * (TRAINED_BYTES + (element if element < TRAINED_BYTES else 0))
    frozen = model.num_parameters - adapter.num_saved_module_parameters
    if settings.quantization == "none":
        return frozen * element
    quantised = model.num_linear_parameters
    bits = NF4_BITS_PER_WEIGHT if settings.quantization == "nf4" else 16 if settings.keeps_transposed else 8
    again = settings.dequantized_layers * dequantized_bytes(model, element)
    return int(quantised * bits / 8) + again + max(frozen - quantised, 0) * element


def activation_bytes(model: ModelFacts, adapter: AdapterPlan, settings: MemorySettings) -> int:
    """What the backward pass needs of one micro-batch.

    A layer keeps for each token, in elements, with d hidden, q heads x head_dim, k key-value heads x head_dim and f
    the MLP's width: 8 d (two norms with their float32 copies, their outputs), 2 q + 2 k (query, key, value and
    attention output), 4 f (gate, act(gate), up and their product). With recompute it keeps its input, d, and one layer
    at a time has all of the above. Measured against an 8B Llama without recompute: 196 KB a token and layer by this
    formula, 216 KB found. For our own layers see `own_layers.memory`.
    """
    if settings.layers is not None:
        return _own_activation_bytes(model, adapter, settings, settings.layers)
    tokens = settings.micro_batch_size * settings.length
    query, key_value = model.num_heads * model.head_dim, model.num_kv_heads * model.head_dim
    kept = 8 * model.hidden_size + 2 * (query + key_value) + 4 * model.intermediate_size
    layer = tokens * kept * _element_bytes(settings)
    dequantised = 2 * model.hidden_size * model.intermediate_size if settings.quantization == "nf4" else 0
    if settings.recompute == "off":
        return model.num_layers * layer + dequantised
    inputs = model.num_layers * tokens * model.hidden_size * _element_bytes(settings)
    return inputs + layer + dequantised


def loss_bytes(model: ModelFacts, adapter: AdapterPlan, settings: MemorySettings) -> int:
    """What the loss takes; with our own layers, beyond what their backward pass takes after it.

    In chunks: the logits of one, which become their own gradient (on a CPU in float32 and four times more), hidden
    states with their gradient, and for a trained head its float32 gradient, twice or beside its copy for the products.
    Otherwise the logits of every token and their gradient, in the compute type and in float32.
    """
    tokens, element = settings.micro_batch_size * settings.length, _element_bytes(settings)
    if not settings.chunked_loss:
        return tokens * model.vocab_size * 2 * (element + 4)
    chunk = min(LOSS_CHUNK_BYTES, element * tokens * model.vocab_size)
    trains_head = adapter.method == "full" or any(module.group == "head" for module in adapter.saved_modules)
    by_autograd = trains_head or any(module.group == "embedding" for module in adapter.saved_modules)
    head = model.vocab_size * model.hidden_size * 8 if trains_head else 0
    layers, ranks = settings.layers, _ranks(model, adapter)
    if layers is not None and not by_autograd and hold_logits(model, layers, tokens, element, LOSS_CHUNK_BYTES):
        chunk = 0
    chunk += 0 if settings.device == "cuda" else 4 * 4 * chunk // element
    if layers is None:
        return chunk + 3 * tokens * model.hidden_size * element + head
    needed = chunk + head + head_bytes(model, tokens, element)
    return max(0, needed - _passing_bytes(model, layers, tokens, element, ranks, on_gpu=settings.device == "cuda"))


def _own_activation_bytes(
    model: ModelFacts, adapter: AdapterPlan, settings: MemorySettings, layers: LayerCounts
) -> int:  # fmt: skip
    """Kept by all layers, shared by them, and made in the backward pass of the first that runs it."""
    tokens, element = settings.micro_batch_size * settings.length, _element_bytes(settings)
    passes_weights = settings.quantization == "nf4" and settings.dequantized_layers < model.num_layers
    ranks = _ranks(model, adapter)
    taken = kept_bytes(model, layers, tokens, element, ranks)
    taken += shared_bytes(model, layers, tokens, element, is_quantised=passes_weights)
    taken += _passing_bytes(model, layers, tokens, element, ranks, on_gpu=settings.device == "cuda")
    taken += plain_bytes(model, adapter, tokens, element)
    if settings.quantization == "fp8":
        taken += fp8_bytes(model, tokens, keeps_transposed=settings.keeps_transposed)
    return taken + (LIBRARY_BYTES if settings.device == "cuda" else _attention_on_cpu(model, tokens, settings.length))


def _passing_bytes(
    model: ModelFacts, layers: LayerCounts, tokens: int, element: int, ranks: int, *, on_gpu: bool
) -> int:
    """What is alive for a moment in a layer's forward or backward pass, whichever is more."""
    forward = forward_bytes(model, layers, tokens, element, ranks, on_gpu=on_gpu)
    return max(forward, backward_bytes(model, layers, tokens, element, ranks, on_gpu=on_gpu))


def _attention_on_cpu(model: ModelFacts, tokens: int, length: int) -> int:
    """Plain attention where scores are capped, else torch's kernel, which never has all scores."""
    parts = family_for(model.model_type).layer
    if parts is not None and parts.score_softcap is not None:
        return SCORES_ON_CPU * 4 * model.num_heads * tokens * length
    return HEADS_ON_CPU * 4 * model.num_heads * model.head_dim * tokens


def estimate_host(model: ModelFacts, adapter: AdapterPlan, settings: MemorySettings) -> int:
    """Bytes that wait in the host's memory."""
    if settings.layers is None:
        return 0
    tokens, element = settings.micro_batch_size * settings.length, _element_bytes(settings)
    return host_bytes(model, settings.layers, tokens, element, _ranks(model, adapter))


def _ranks(model: ModelFacts, adapter: AdapterPlan) -> int:
    """Of the adapters of one layer, added up."""
    return adapter.rank * -(-len(adapter.targets) // max(1, model.num_layers))


def _joined_bytes(model: ModelFacts, adapter: AdapterPlan, settings: MemorySettings) -> int:
    is_apart = settings.quantization != "none"
    return joined_bytes(model, adapter, _element_bytes(settings), is_quantised=is_apart)


def _element_bytes(settings: MemorySettings) -> int:
    return 2 if settings.dtype == "bfloat16" else 4
