"""What will happen: the values that planning derives from a recipe, and why. Pure data; nothing here computes.

Sizes are in bytes unless a name says otherwise.
"""

from datetime import datetime
from math import sqrt
from typing import Literal

from pydantic import BaseModel, ConfigDict

from tui_tuner.recipe import Recipe


class PlanValue(BaseModel):
    """Immutable and JSON-able."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Decision(PlanValue):
    """How an "auto", or a choice that a person should know of, was settled."""

    field: str
    """Dotted recipe path, such as "training.micro_batch_size"."""
    value: str
    """The value, as it would be written in the recipe or said in words."""
    reason: str


class NameDecision(PlanValue):
    """What was typed as the model, what will be loaded, and why they may differ."""

    typed: str
    loads: str
    reason: str
    alternatives: tuple[str, ...] = ()
    is_swapped: bool = False


class ModelFacts(PlanValue):
    """What is known of the base model without loading it."""

    source: str
    """The folder or hub id that will be loaded."""
    folder: str | None
    """Local folder with the files; None where they must be fetched first."""
    model_type: str
    architecture: str
    family: str
    """Name of the family; "generic" where tuner has no data file for it."""
    is_accelerated: bool
    dtype: str
    hidden_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    intermediate_size: int
    vocab_size: int
    context_length: int
    tied_embeddings: bool
    num_parameters: int
    """As PEFT counts a loaded model: a tied head once, a quantised matrix by its elements."""
    num_linear_parameters: int
    """Elements of the linear modules of the layers: what nf4 shrinks."""
    weight_files: tuple[str, ...] = ()
    weight_bytes: int | None = None
    """Sum of the weight files; None where there are none to look at."""
    stored_quantization: str | None = None
    """Quantisation that the files already carry, such as "nf4"; None for plain weights."""
    revision: str | None = None
    unknowns: tuple[str, ...] = ()
    """What could not be known, in words: "no weight files: ..."."""


class LoraTarget(PlanValue):
    """One linear module that gets an adapter."""

    path: str
    """Dotted module path in the Hugging Face model: "model.layers.0.self_attn.q_proj"."""
    in_features: int
    out_features: int
    num_trainable: int
    rank: int | None = None
    """Where an inherited adapter has another here than the plan's; as is `alpha`."""
    alpha: float | None = None


class TrainedModule(PlanValue):
    """One module that is trained in full."""

    path: str
    group: Literal["embedding", "head", "norm", "other"]
    num_parameters: int
    is_tied: bool = False
    """Whether it is the same matrix as another entry, which is then the one that counts."""


class AdapterPlan(PlanValue):
    """Everything that will be trained, exactly."""

    method: Literal["lora", "full"]
    rank: int
    alpha: float
    scaling: float
    dropout: float
    use_rslora: bool
    use_dora: bool
    target_names: tuple[str, ...]
    targets: tuple[LoraTarget, ...]
    layers: tuple[int, ...] | None
    """Layer numbers that get adapters; None for all."""
    modules_to_save: tuple[str, ...]
    saved_modules: tuple[TrainedModule, ...]
    num_adapter_parameters: int
    num_saved_module_parameters: int
    num_trainable: int
    num_total: int
    """As PEFT counts: base plus adapters plus the copies of whole modules."""
    adapter_bytes: int
    """Size of adapter_model.safetensors on disk."""
    continues: str | None = None
    """Adapter folder that training goes on from."""

    def rank_of(self, target: LoraTarget) -> int:
        return self.rank if target.rank is None else target.rank

    def scaling_of(self, target: LoraTarget) -> float:
        """alpha / rank, or alpha / sqrt(rank) for rsLoRA (Kalajdzievski 2023)."""
        rank, alpha = self.rank_of(target), self.alpha if target.alpha is None else target.alpha
        return alpha / (sqrt(rank) if self.use_rslora else rank)

    @property
    def trainable_percent(self) -> float:
        return 100.0 * self.num_trainable / self.num_total if self.num_total else 0.0


class SourceFacts(PlanValue):
    """What was found in one data source."""

    path: str
    files: tuple[str, ...]
    shape: str
    shape_reason: str
    columns: dict[str, str]
    num_rows: int
    weight: float = 1.0


class DataFacts(PlanValue):
    """The data as the run will see it. `is_exact` is False where lengths come from a sample of the rows."""

    sources: tuple[SourceFacts, ...]
    evaluation_sources: tuple[SourceFacts, ...] = ()
    template: str
    """Which chat template is used, in words."""
    num_rows: int
    num_evaluation_rows: int
    num_dropped: int = 0
    num_cut: int = 0
    num_tokens: int | None = None
    num_trained_tokens: int | None = None
    longest: int | None = None
    p99_length: int | None = None
    max_length: int
    packing: bool
    num_sequences: int | None = None
    """Sequences in one epoch: rows, or packed bins."""
    is_exact: bool = False


class MemoryEstimate(PlanValue):
    """Expected peak on the training device, by component."""

    weights: int
    adapters: int
    gradients: int
    optimizer: int
    activations: int
    loss: int
    reserve: int
    total: int
    available: int | None
    """Free memory of the device when the plan was made; None where it could not be read."""
    host: int = 0
    """Pinned memory of the host, in which layers wait that offload. Not part of the total."""
    host_available: int | None = None
    """Free memory of the host when the plan was made, where it is not the device; None where it could not be read."""

    @property
    def allocated(self) -> int:
        """What a GPU's allocator is expected to count at its peak: all but context, kernels and lost space."""
        return self.total - self.reserve


Sends = Literal["all", "attended", "input"]


class LayerCounts(PlanValue):
    """What our own decoder layers keep for the backward pass: so many layers do this, so many that."""

    keep: int
    """Nothing but norms and gated products is computed again."""
    recompute: int
    """Query, key, value, gate and up are computed again."""
    offload: int
    """The same, and what they keep waits in host memory."""
    sends: Sends = "all"
    """What that is: all that a layer keeps that computes again; or its input and attention's output, for one more
    product; or its input alone, for attention once more."""


class MemoryFit(PlanValue):
    """Where a run goes on otherwise than planned, by what its device was seen to hold; its steps stay the same."""

    rows: int | None = None
    """Most sequences of a micro-batch; None for as many as planned."""
    parts: int = 1
    """Into how many micro-batches a packed sequence is cut, between its documents."""
    recompute: Literal["off", "selective", "layers", "offload"] | None = None
    """With `layers`; None for as planned."""
    layers: LayerCounts | None = None


class StepSchedule(PlanValue):
    """Steps, batches and learning rate."""

    total_steps: int
    warmup_steps: int
    schedule: Literal["linear", "cosine", "constant"]
    micro_batch_size: int
    gradient_accumulation: int
    steps_per_epoch: int | None
    tokens_per_step: int | None
    total_tokens: int | None
    evaluate_every: int
    save_every: int


class LearningRates(PlanValue):
    """Peak learning rate of each parameter group."""

    adapter: float
    embedding: float
    norm: float
    lora_plus_ratio: float


class SpeedEstimate(PlanValue):
    """How fast training will be, as far as that can be said before it begins."""

    tokens_per_second: float | None
    """Tokens that go through the model; None where nothing is known of this machine."""
    seconds: float | None
    """Of all steps and evaluations, without loading, saving and proof; None where speed or tokens are not known."""
    source: Literal["measured", "computed", "unknown"]
    """An earlier run on this machine; a formula; nothing."""
    device_name: str = ""
    """The device that this holds for."""
    reason: str


class RunPlan(PlanValue):
    """A recipe with every "auto" resolved, and the reasons."""

    recipe: Recipe
    """As it was asked for, autos included; what an adapter that is gone on with decides is filled in."""
    name: NameDecision
    model: ModelFacts
    adapter: AdapterPlan
    data: DataFacts
    memory: MemoryEstimate
    schedule: StepSchedule
    learning_rates: LearningRates
    device: Literal["cpu", "cuda"]
    dtype: Literal["bfloat16", "float32"]
    quantization: Literal["none", "fp8", "nf4"]
    keeps_transposed: bool = False
    """Whether a base in fp8 is held in both orders; else backward turns each weight as it comes."""
    dequantized_layers: int = 0
    """Layers whose base in NF4 is held in the compute type as well; the others dequantise each weight as it comes."""
    recompute: Literal["off", "selective", "layers", "offload"]
    layers: LayerCounts | None = None
    """None where the model computes its layers itself."""
    kernels: Literal["on", "off"]
    threads: int | None = None
    """Processor threads that compute; None on a GPU."""
    speed: SpeedEstimate | None = None
    """None in plans that were made before there were estimates."""
    decisions: tuple[Decision, ...]
    warnings: tuple[str, ...] = ()
    rendered_at: datetime | None = None
    """What a chat template's clock says in this run, on whatever day it goes on; None before the run began."""
