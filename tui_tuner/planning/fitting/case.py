"""One run's estimate of memory as a function of its micro-batch and of what its layers keep."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tui_tuner.plan import AdapterPlan, DataFacts, MemoryEstimate, ModelFacts, RunPlan
from tui_tuner.planning.memory import MemorySettings, estimate_memory
from tui_tuner.planning.own_layers.ways import Way, own_ways, theirs


@dataclass(frozen=True, slots=True)
class MemoryCase:
    """Everything that the estimate of one candidate needs."""

    model: ModelFacts
    adapter: AdapterPlan
    settings: MemorySettings
    has_own_layers: bool
    above: int = 0
    """Bytes that a micro-batch was measured to take above the estimate; negative where it took less."""

    def estimate(self, micro_batch_size: int, way: Way) -> MemoryEstimate:
        settings = replace(
            self.settings, micro_batch_size=micro_batch_size, recompute=way.recompute, layers=way.layers
        )  # fmt: skip
        return estimate_memory(self.model, self.adapter, settings)

    def fits(self, micro_batch_size: int, way: Way) -> bool:
        available = self.settings.available
        return available is None or self.estimate(micro_batch_size, way).total + self.above <= available

    def fastest(self, micro_batch_size: int, ways: Sequence[Way]) -> Way | None:
        """The first that fits of ways in order of their size, the largest first; None where not even the last does."""
        if self.fits(micro_batch_size, ways[0]):
            return ways[0]
        if not self.fits(micro_batch_size, ways[-1]):
            return None
        low, high = 1, len(ways) - 1
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if self.fits(micro_batch_size, ways[middle]) else (middle + 1, high)
        return ways[low]

    def ways(self, asked: str) -> tuple[Way, ...]:
        """What may be chosen from, by the recipe's `acceleration.recompute`."""
        if not self.has_own_layers:
            return theirs(asked)  # type: ignore[arg-type]
        # On a processor the host's memory is the device's.
        may_offload = self.settings.device == "cuda"
        return own_ways(asked, self.model.num_layers, may_offload=may_offload)  # type: ignore[arg-type]


def longest_sequence(data: DataFacts) -> int:
    """Tokens of the longest sequence that a micro-batch can hold."""
    is_padded = not data.packing and data.longest is not None
    return min(data.longest, data.max_length) if is_padded and data.longest is not None else data.max_length


def case_of(plan: RunPlan) -> MemoryCase:
    """The case that a plan was made from."""
    settings = MemorySettings(
        device=plan.device,
        dtype=plan.dtype,
        quantization=plan.quantization,
        keeps_transposed=plan.keeps_transposed,
        recompute=plan.recompute,
        optimizer=plan.recipe.optimizer.name,
        micro_batch_size=plan.schedule.micro_batch_size,
        length=longest_sequence(plan.data),
        chunked_loss=plan.kernels == "on",
        available=plan.memory.available,
    )
    return MemoryCase(plan.model, plan.adapter, settings, plan.layers is not None)
