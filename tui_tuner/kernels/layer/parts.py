"""What one decoder layer is made of: sizes and switches, weights with the places of their gradients, and the policy
of what it keeps between forward and backward. Plain values; nothing here computes.
"""

from dataclasses import dataclass

from torch import Tensor

from tui_tuner.kernels.attention import Layout
from tui_tuner.kernels.attention_kernel import Scores
from tui_tuner.kernels.gated_product import Activation
from tui_tuner.kernels.layer.workspace import Workspace
from tui_tuner.kernels.lora_layout import Adapters, GradientPlaces, LoraLayout, LoraWeight, put_adapters
from tui_tuner.kernels.nf4 import Nf4Weight, dequantize
from tui_tuner.kernels.rms_norm import Norm
from tui_tuner.kernels.rope import Rotation


@dataclass(frozen=True, slots=True)
class Policy:
    """What a layer keeps beside its input and the output of attention; the rest is computed again in backward."""

    keeps_gate_up: bool = False
    keeps_qkv: bool = False
    keeps_middle: bool = False
    """The residual after attention; without it the output projection is computed again."""
    on_host: bool = False
    """Input and attention output wait in pinned host memory."""


KEEP = Policy(keeps_gate_up=True, keeps_qkv=True, keeps_middle=True)
"""No product is computed twice; norms and gated products are."""
RECOMPUTE = Policy(keeps_middle=True)
"""The products of q, k, v and of gate, up are computed twice."""
OFFLOAD = Policy(on_host=True)
"""As RECOMPUTE, and the output projection too; next to nothing stays on the device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerShape:
    """Sizes and switches."""

    q_heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    activation: Activation
    norm: Norm
    scores: Scores
    rope: int = 0
    """Which of the batch's rotations this layer uses: models with windows have two."""
    residual_multiplier: float = 1.0
    """On what attention and MLP add to the residual (Granite)."""

    @property
    def queries(self) -> int:
        return self.q_heads * self.head_dim

    @property
    def keys(self) -> int:
        return self.kv_heads * self.head_dim


@dataclass(frozen=True, slots=True)
class NormWeight:
    weight: Tensor
    gradient: Tensor | None = None
    """float32, of the weight's shape, added to; None where it is frozen."""


@dataclass(frozen=True, slots=True)
class Quantized:
    """Base weights of projections in NF4, one below the other, and working copies of their adapters."""

    parts: tuple[Nf4Weight, ...]
    adapters: Adapters
    scratch: str
    """Purpose in the workspace; weights with the same one take turns."""
    bias: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Projections:
    """Linear layers that read one input."""

    layout: LoraLayout
    base: LoraWeight | Quantized
    places: GradientPlaces | None = None
    """None where none of them has an adapter."""

    def weight(self, space: Workspace) -> LoraWeight:
        """Ready for products; a quantised one until the next with its scratch."""
        if isinstance(self.base, LoraWeight):
            return self.base
        weight = space.weight(self.base.scratch, self.layout, self.base.bias)
        start = 0
        for part in self.base.parts:
            dequantize(part, weight.base[start : start + part.shape[0]])
            start += part.shape[0]
        put_adapters(self.base.adapters, weight)
        return weight


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One decoder layer. Norms that a family does not have are None."""

    shape: LayerShape
    input_norm: NormWeight
    qkv: Projections
    q_norm: NormWeight | None
    k_norm: NormWeight | None
    o: Projections
    attention_norm: NormWeight | None
    """On the output of attention, before it joins the residual (Gemma 2 and 3)."""
    mlp_norm: NormWeight
    """On the input of the MLP."""
    gate_up: Projections
    down: Projections
    output_norm: NormWeight | None
    """On the output of the MLP, before it joins the residual."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What the layers must know of the tokens, made once for each micro-batch."""

    rotations: tuple[Rotation, ...]
    layouts: dict[Scores, Layout]
    """How attention runs for each kind of scores in the model."""
