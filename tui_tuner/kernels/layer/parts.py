"""What one decoder layer is made of: sizes and switches, weights with the places of their gradients, and the policy
of what it keeps between forward and backward. Plain values; nothing here computes.
"""

from dataclasses import dataclass
from itertools import accumulate, pairwise

from torch import Tensor

from tui_tuner.kernels.attention.causal import Layout
from tui_tuner.kernels.attention.kernel import Scores
from tui_tuner.kernels.fp8 import Fp8Weight
from tui_tuner.kernels.fp8_rows import DTYPE
from tui_tuner.kernels.gated_product import Activation
from tui_tuner.kernels.layer.workspace import Workspace
from tui_tuner.kernels.lora.fp8 import Fp8LoraWeight
from tui_tuner.kernels.lora.layout import Adapters, GradientPlaces, LoraLayout, LoraWeight
from tui_tuner.kernels.lora.linear import AnyWeight
from tui_tuner.kernels.lora.placing import put_adapters
from tui_tuner.kernels.lora.plain import PlainGradients
from tui_tuner.kernels.nf4 import Nf4Weight, dequantize_stacked
from tui_tuner.kernels.rms_norm import Norm
from tui_tuner.kernels.rope import Rotation


@dataclass(frozen=True, slots=True)
class Policy:
    """What a layer keeps beside its input and the output of attention; the rest is computed again in backward."""

    keeps_gate_up: bool = False
    keeps_qkv: bool = False
    keeps_middle: bool = False
    """The residual after attention; without it the output projection is computed again."""
    keeps_attended: bool = True
    """Attention's output; without it q, k, v and attention are computed again."""
    on_host: bool = False
    """All of this but q, k, v and gate, up waits in pinned host memory."""


KEEP = Policy(keeps_gate_up=True, keeps_qkv=True, keeps_middle=True)
"""No product is computed twice; norms and gated products are."""
RECOMPUTE = Policy(keeps_middle=True)
"""The products of q, k, v and of gate, up are computed twice."""
OFFLOAD = Policy(keeps_middle=True, on_host=True)
"""As RECOMPUTE; what it keeps waits on the host."""
OFFLOAD_LEAN = Policy(on_host=True)
"""A third less on the host, for one more product in backward."""
OFFLOAD_INPUT = Policy(on_host=True, keeps_attended=False)
"""A third of it, for that product and attention."""


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
    rope: int | None = 0
    """Which of the batch's rotations this layer uses: models with windows have two. None: it knows no positions."""
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
class InFp8:
    """Base weights of projections in 8-bit floats, and working copies of their adapters."""

    weight: Fp8Weight
    adapters: Adapters
    bias: Tensor | None = None


@dataclass(frozen=True, slots=True)
class PlainAdapter:
    """The adapter of a projection whose rank counts as 0 in the layout: with dropout, or DoRA."""

    rows: slice
    """The projection's, among the outputs."""
    a: Tensor
    b: Tensor
    """Working copies; B without its scaling."""
    scaling: float
    probability: float
    stream: int
    """Number of its masks, another one for each projection of a model."""
    gradients: PlainGradients
    magnitude: Tensor | None = None
    """[out of it], float32, of DoRA."""
    squares: Tensor | None = None
    """[out of it], float32: the squares of the base's rows, where DoRA needs them."""


@dataclass(frozen=True, slots=True)
class Projections:
    """Linear layers that read one input."""

    layout: LoraLayout
    base: LoraWeight | Quantized | InFp8
    places: GradientPlaces | None = None
    """None where none of them has an adapter."""
    plain: tuple[PlainAdapter, ...] = ()
    """Adapters that are computed beside the product."""

    def weight(self, space: Workspace) -> AnyWeight:
        """Ready for products; a quantised one until the next with its scratch."""
        if isinstance(self.base, LoraWeight):
            return self.base
        if isinstance(self.base, InFp8):
            scratch = None if self.base.weight.transposed is not None else self._bytes(space)
            return Fp8LoraWeight(self.layout, self.base.weight, self.base.adapters, self.base.bias, scratch)
        weight = space.weight(self.base.scratch, self.layout, self.base.bias)
        dequantize_stacked(self.base.parts, weight.base)
        put_adapters(self.base.adapters, weight)
        return weight

    @property
    def is_in_fp8(self) -> bool:
        """Whether products read their input in 8 bits."""
        return isinstance(self.base, InFp8)

    @property
    def is_one_product(self) -> bool:
        """Whether a single product gives all, so that it may be added to what is there."""
        return not self.plain

    @property
    def scales_gradient(self) -> bool:
        """Whether the gradient of the output is written to."""
        return any(one.magnitude is not None for one in self.plain)

    def _bytes(self, space: Workspace) -> Tensor:
        """Where backward turns a weight in 8 bits [in, out], one after the other."""
        outputs = self.layout.out_features // space.dtype.itemsize
        return space.matrix("turned weight", self.layout.in_features, outputs).view(DTYPE)


@dataclass(frozen=True, slots=True)
class RankColumns:
    """Where x A^T of each product lies in what a layer keeps of them, [T, total]."""

    qkv: slice
    o: slice
    gate_up: slice
    down: slice
    total: int

    @classmethod
    def of(cls, *products: Projections) -> "RankColumns":
        """In the order of the fields."""
        ends = list(accumulate((one.layout.rank for one in products), initial=0))
        qkv, o, gate_up, down = (slice(start, end) for start, end in pairwise(ends))
        return cls(qkv, o, gate_up, down, ends[-1])


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
    mlp_norm: NormWeight | None
    """On the input of the MLP; None where attention and MLP work side by side on one normed input (Cohere)."""
    gate_up: Projections
    down: Projections
    output_norm: NormWeight | None
    """On the output of the MLP, before it joins the residual."""

    @property
    def plain(self) -> tuple[PlainAdapter, ...]:
        """Adapters that are computed beside the products."""
        return (*self.qkv.plain, *self.o.plain, *self.gate_up.plain, *self.down.plain)

    @property
    def columns(self) -> RankColumns:
        return RankColumns.of(self.qkv, self.o, self.gate_up, self.down)


@dataclass(frozen=True, slots=True)
class Batch:
    """What the layers must know of the tokens, made once for each micro-batch."""

    rotations: tuple[Rotation, ...]
    layouts: dict[Scores, Layout]
    """How attention runs for each kind of scores in the model."""
    seed: Tensor | None = None
    """int64 scalar on the device, of the masks of dropout; None where nothing is dropped."""
