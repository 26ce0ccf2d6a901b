"""Expected peak memory of a run on its device, by component. An estimate: the probe step of a run has the last word."""

from dataclasses import dataclass
from typing import Literal

from tui_tuner.plan import AdapterPlan, LayerCounts, MemoryEstimate, ModelFacts
from tui_tuner.planning.own_layers.memory import joined_bytes, kept_bytes, passing_bytes

GIB = 2**30
# NF4 with double quantisation: 4 bits, an 8-bit scale for 64 weights, a 32-bit scale for 256 scales (QLoRA, section 3).
NF4_BITS_PER_WEIGHT = 4 + 8 / 64 + 32 / (64 * 256)
TRAINED_BYTES = 4
"""Everything that is trained is held in float32."""
LOSS_CHUNK_BYTES = 256 * 2**20
"""Float32 logits that exist at the same time when the loss is computed outside the model's forward."""
GPU_RESERVE = int(0.75 * GIB)
"""CUDA context, cuBLAS workspaces and what the allocator cannot reuse."""
CPU_RESERVE = int(0.5 * GIB)
FRAGMENTATION = 0.05
"""Share of activations that is lost to blocks of other sizes."""
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
    quantization: Literal["none", "nf4"]
    recompute: Literal["off", "selective", "layers", "offload"]
    layers: LayerCounts | None = None
    """What our own layers keep; None where the model computes its layers itself."""
    optimizer: str
    micro_batch_size: int
    length: int
    """Tokens of the longest sequence."""
    chunked_loss: bool
    available: int | None


def estimate_memory(model: ModelFacts, adapter: AdapterPlan, settings: MemorySettings) -> MemoryEstimate:
    """Weights, trained parameters and their states, activations and loss of one micro-batch, and a reserve.

    Counted for our own layers where they are used, else for Hugging Face modules with SDPA attention. A paged
    optimizer's states are counted as if they stayed on the device.
    """
    trainable = adapter.num_trainable * TRAINED_BYTES
    is_full, own = adapter.method == "full", settings.layers is not None
    activations = int(activation_bytes(model, settings) * (1 + FRAGMENTATION))
    parts = {
        "weights": weight_bytes(model, adapter, settings),
        "adapters": 0
        if is_full
        else trainable + (joined_bytes(model, adapter, _element_bytes(settings)) if own else 0),
        "gradients": trainable,
        "optimizer": int(adapter.num_trainable * OPTIMIZER_BYTES[settings.optimizer]),
        "activations": activations,
        "loss": loss_bytes(model, adapter, settings),
        "reserve": GPU_RESERVE if settings.device == "cuda" else CPU_RESERVE,
    }
    return MemoryEstimate(**parts, total=sum(parts.values()), available=settings.available)


def weight_bytes(model: ModelFacts, adapter: AdapterPlan, settings: MemorySettings) -> int:
    """The base: NF4 shrinks the linear modules of the layers, the rest stays in the compute type.

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
    return int(quantised * NF4_BITS_PER_WEIGHT / 8) + max(frozen - quantised, 0) * element


def activation_bytes(model: ModelFacts, settings: MemorySettings) -> int:
    """What the backward pass needs of one micro-batch.

    A layer keeps for each token, in elements, with d hidden, q heads x head_dim, k key-value heads x head_dim and f
    the MLP's width: 8 d (two norms with their float32 copies, their outputs), 2 q + 2 k (query, key, value and
    attention output), 4 f (gate, act(gate), up and their product). With recompute it keeps its input, d, and one layer
    at a time has all of the above. Measured against an 8B Llama without recompute: 196 KB a token and layer by this
    formula, 216 KB found. For our own layers see `own_layers.memory`.
    """
    tokens = settings.micro_batch_size * settings.length
    if settings.layers is not None:
        element, is_nf4 = _element_bytes(settings), settings.quantization == "nf4"
        kept = kept_bytes(model, settings.layers, tokens, element)
        return kept + passing_bytes(model, settings.layers, tokens, element, is_quantised=is_nf4)
    query, key_value = model.num_heads * model.head_dim, model.num_kv_heads * model.head_dim
    kept = 8 * model.hidden_size + 2 * (query + key_value) + 4 * model.intermediate_size
    layer = tokens * kept * _element_bytes(settings)
    dequantised = 2 * model.hidden_size * model.intermediate_size if settings.quantization == "nf4" else 0
    if settings.recompute == "off":
        return model.num_layers * layer + dequantised
    inputs = model.num_layers * tokens * model.hidden_size * _element_bytes(settings)
    return inputs + layer + dequantised


def loss_bytes(model: ModelFacts, adapter: AdapterPlan, settings: MemorySettings) -> int:
    """Logits and what the cross entropy makes of them.

    In chunks: float32 logits, their softmax, its scaled copy and that in the compute type, then the trained rows'
    hidden states with their gradient, and for a trained head its float32 gradient and its copy for the products.
    Otherwise the logits of every token and their gradient, in the compute type and in float32.
    """
    tokens, element = settings.micro_batch_size * settings.length, _element_bytes(settings)
    if not settings.chunked_loss:
        return tokens * model.vocab_size * 2 * (element + 4)
    chunk = min(LOSS_CHUNK_BYTES, 4 * tokens * model.vocab_size)
    hidden = 2 * tokens * model.hidden_size * element
    trains_head = adapter.method == "full" or any(module.group == "head" for module in adapter.saved_modules)
    head = model.vocab_size * model.hidden_size * (4 + element) if trains_head else 0
    return 3 * chunk + chunk * element // 4 + hidden + head


def _element_bytes(settings: MemorySettings) -> int:
    return 2 if settings.dtype == "bfloat16" else 4
