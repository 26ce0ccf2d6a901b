"""What `tuner bench` found of one recipe on one machine, beside what its plan expected. Pure data."""

from pydantic import BaseModel, ConfigDict

from tui_tuner.events import MemoryProbed
from tui_tuner.plan import RunPlan


class ReportValue(BaseModel):
    """Immutable and JSON-able."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class LimitFigures(ReportValue):
    """What the machine does with base products and attention of the same work alone, nothing else and nothing twice."""

    tokens_per_second: float
    teraflops: float
    """Of the layers' products."""
    milliseconds: float
    """Least time of one step."""
    products_milliseconds: float
    attention_milliseconds: float
    head_milliseconds: float


class BenchReport(ReportValue):
    """One bench."""

    plan: RunPlan
    """With what the probe of a run changed in it."""
    probe: MemoryProbed | None
    """None on a processor."""
    device_name: str
    versions: dict[str, str]
    layers: str
    """Which code computes the layers, in words."""
    num_trainable: int
    warm_up: int
    seconds: tuple[float, ...]
    """Of each timed step, in order."""
    tokens: tuple[int, ...]
    padded_tokens: tuple[int, ...]
    tokens_per_second: float
    """Without padding."""
    padded_tokens_per_second: float
    milliseconds: float
    """Median of the steps."""
    slowest_milliseconds: float
    fastest_milliseconds: float
    first_loss: float
    last_loss: float
    first_grad_norm: float
    import_seconds: float
    """Of the command, until it begins with the recipe: torch and transformers, mostly."""
    plan_seconds: float
    """Reading the recipe, planning, labelling."""
    load_seconds: float
    first_step_seconds: float
    """From the start to the end of the first step: all of the above and the step. Making a random model is left out."""
    peak_bytes: int | None
    """The allocator's, over all steps; None on a processor."""
    reserved_bytes: int | None
    device_bytes: int | None
    """What this process added to the GPU's memory in use; on a processor the process's own peak."""
    estimated_bytes: int
    """The plan's, with its reserve for what the allocator does not see."""
    estimated_allocated_bytes: int
    limit: LimitFigures | None
    """None where the model's layers are not of Llama's shape."""

    @property
    def share_of_limit(self) -> float | None:
        return None if self.limit is None else self.tokens_per_second / self.limit.tokens_per_second
