"""What a model family is: plain data about the modules of its Hugging Face classes. No code branches on a family."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

ConfigValue = str | int | float | bool | None


class Width(Enum):
    """A width that the model's config.json decides."""

    HIDDEN = auto()
    QUERY = auto()
    """heads x head_dim"""
    KEY_VALUE = auto()
    """key-value heads x head_dim"""
    FUSED_QKV = auto()
    """(heads + 2 x key-value heads) x head_dim: query, key and value in one matrix"""
    INTERMEDIATE = auto()
    TWICE_INTERMEDIATE = auto()
    """gate and up projection in one matrix"""
    HEAD = auto()
    """head_dim: one vector for all heads"""
    QUERY_HEADS = auto()
    """(heads, head_dim): a vector for each head"""
    KEY_VALUE_HEADS = auto()
    """(key-value heads, head_dim): a vector for each head"""


@dataclass(frozen=True, slots=True)
class Linear:
    """A linear module of a decoder layer."""

    name: str
    """Path inside the layer: "self_attn.q_proj"."""
    inputs: Width
    outputs: Width
    bias: bool | str = False
    """Whether it has a bias, or the config field that says so."""


@dataclass(frozen=True, slots=True)
class Norm:
    """A norm of a decoder layer: one weight, no bias."""

    name: str
    width: Width = Width.HIDDEN
    only_if: str | None = None
    """Config field that must be true for the norm to exist; None for always."""


@dataclass(frozen=True, slots=True)
class LogitFields:
    """Config fields with which forward changes the head's output; None where the family has no such field.

    In this order: multiply, divide, then cap x to cap * tanh(x / cap).
    """

    multiplier: str | None = None
    divisor: str | None = None
    softcap: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerParts:
    """What each module of a decoder layer is for, where the layer is

        x = x + attention(norm(x));  x = x + mlp(norm(x))        or        x = x + attention(norm(x)) + mlp(norm(x))

    with a gated MLP and rotary positions. Norms on the way back to the residual, norms of queries and keys, and config
    fields are None where the family has none.
    """

    query_key_value: tuple[str, ...] = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
    """Modules that make query, key and value, in this order: three, or one."""
    attention: str = "self_attn"
    attention_output: str = "self_attn.o_proj"
    gate_up: tuple[str, ...] = ("mlp.gate_proj", "mlp.up_proj")
    """Modules that make gate and up, in this order: two, or one."""
    down: str = "mlp.down_proj"
    input_norm: str = "input_layernorm"
    attention_norm: str | None = None
    """On what attention gives, before it is added."""
    mlp_norm: str | None = "post_attention_layernorm"
    """On what goes into the MLP; None where attention and MLP share the input's norm, side by side."""
    output_norm: str | None = None
    """On what the MLP gives, before it is added."""
    query_key_norms: tuple[str, str] | None = None
    norm_adds_one: bool = False
    """Whether norms multiply by 1 + weight, in float32 (Gemma)."""
    norm_centres: bool = False
    """Whether norms subtract the mean first (LayerNorm without a bias)."""
    has_interleaved_rope: bool = False
    """Whether neighbouring dimensions turn together, and not those half a head apart."""
    turns_only_windows: bool = False
    """Whether layers without a window know no positions."""
    activation_field: str = "hidden_act"
    score_softcap: str | None = None
    """Config field of the cap on attention scores."""
    residual_multiplier: str | None = None
    """Config field of the factor on what is added to the residual."""
    embedding_multiplier: str | None = None
    """Config field of the factor on the embeddings, where their module does not apply it itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFamily:
    """Models that share their modules, by config.json's model_type."""

    name: str
    model_types: tuple[str, ...]
    causal_lm_class: str
    """Class in `transformers` that is loaded, by name."""
    layer_class: str
    norm_class: str
    linears: tuple[Linear, ...]
    """Of one decoder layer, in the order of its module tree."""
    norms: tuple[Norm, ...]
    """Of one decoder layer."""
    layer: LayerParts | None = None
    """How our own decoder layer stands in for the model's; None where it does not."""
    logits: LogitFields = LogitFields()
    decoder_path: str = "model"
    embedding_path: str = "model.embed_tokens"
    layers_path: str = "model.layers"
    final_norm_path: str = "model.norm"
    head_path: str = "lm_head"
    checkpoint_prefixes: tuple[tuple[str, str], ...] = ()
    """(prefix in the weight files, prefix in the loaded model), for checkpoints that hold more than the text part."""
    holds_more: bool = False
    """Whether the loaded model has modules beside the text part, which stay as they are: a vision tower."""
    defaults: Mapping[str, ConfigValue] = field(default_factory=dict)
    """What a field counts as where config.json leaves it out: the defaults of the family's config class."""
    tiny: Mapping[str, ConfigValue] = field(default_factory=dict)
    """A config of two small layers, for tests; empty where config.json nests the text part."""

    @property
    def is_known(self) -> bool:
        return bool(self.linears)

    def logit_scale(self, config: object) -> float:
        """Factor on the head's output, from a loaded model's config; 1 where the family has none."""
        multiplier = self._number(config, self.logits.multiplier)
        divisor = self._number(config, self.logits.divisor)
        return (1.0 if multiplier is None else multiplier) / (1.0 if divisor is None else divisor)

    def softcap(self, config: object) -> float | None:
        """Cap of x -> cap * tanh(x / cap) on the scaled output, from a loaded model's config; None for no cap."""
        return self._number(config, self.logits.softcap)

    def _number(self, config: object, field_name: str | None) -> float | None:
        if field_name is None:
            return None
        text_config = getattr(config, "text_config", config)
        value = getattr(text_config, field_name, self.defaults.get(field_name))
        return float(value) if isinstance(value, int | float) else None
