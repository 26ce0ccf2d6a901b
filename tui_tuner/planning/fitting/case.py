"""One run's estimate of memory as a function of its micro-batch and of what its layers keep."""

from dataclasses import dataclass, replace

from tui_tuner.plan import AdapterPlan, DataFacts, MemoryEstimate, ModelFacts, RunPlan, Sends
from tui_tuner.planning.memory import MemorySettings, estimate_host, estimate_memory
from tui_tuner.planning.own_layers.counts import layer_counts
from tui_tuner.planning.own_layers.memory import LEAN_TOKENS, SENDS
from tui_tuner.planning.own_layers.ways import Way, own_ways, sending, theirs

HOST_SHARE = 0.75
"""Of the host's free memory that layers may take: it is pinned, so that nothing of it can be swapped for anyone."""


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
        return estimate_memory(self.model, self.adapter, self._settings_of(micro_batch_size, way))

    def fits(self, micro_batch_size: int, way: Way, *, error: float = 0.0) -> bool:
        """Whether the device has room, though the estimate were too low by this share of it."""
        available = self.settings.available
        return available is None or (1 + error) * self.estimate(micro_batch_size, way).total + self.above <= available

    def fits_host(self, micro_batch_size: int, way: Way) -> bool:
        """Whether the host has room for what waits there."""
        available = self.settings.host_available
        settings = self._settings_of(micro_batch_size, way)
        return available is None or estimate_host(self.model, self.adapter, settings) <= HOST_SHARE * available

    def fastest(self, micro_batch_size: int, asked: str) -> Way | None:
        """The fastest way that fits, of those that the recipe leaves open; None where not even the smallest does."""
        ways = self.ways(micro_batch_size, asked)
        if self.fits(micro_batch_size, ways[0]):
            return ways[0]
        if not self.fits(micro_batch_size, ways[-1]):
            return None
        low, high = 1, len(ways) - 1
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if self.fits(micro_batch_size, ways[middle]) else (middle + 1, high)
        return ways[low]

    def smallest(self, micro_batch_size: int, asked: str) -> Way:
        """What is left where nothing fits."""
        return self.ways(micro_batch_size, asked)[-1]

    def ways(self, micro_batch_size: int, asked: str) -> tuple[Way, ...]:
        """What may be chosen from, by the recipe's `acceleration.recompute`; the largest first."""
        if not self.has_own_layers:
            return theirs(asked)  # type: ignore[arg-type]
        # On a processor the host's memory is the device's.
        may_offload, sends = self.settings.device == "cuda", self.sends(micro_batch_size)
        ways = own_ways(asked, self.model.num_layers, may_offload=may_offload, sends=sends)  # type: ignore[arg-type]
        return tuple(way for way in ways if self.fits_host(micro_batch_size, way)) or ways

    def sends(self, micro_batch_size: int) -> Sends:
        """What layers send that offload: as much as the host has room for where all of them do."""
        if self.settings.device != "cuda":
            return SENDS[0]
        all_offload = layer_counts("offload", self.model.num_layers)
        is_long = micro_batch_size * self.settings.length > LEAN_TOKENS
        choices = SENDS[1:] if is_long else SENDS
        ways = {sends: sending(Way("offload", all_offload), sends) for sends in choices}
        return next((sends for sends, way in ways.items() if self.fits_host(micro_batch_size, way)), SENDS[-1])

    def _settings_of(self, micro_batch_size: int, way: Way) -> MemorySettings:
        return replace(self.settings, micro_batch_size=micro_batch_size, recompute=way.recompute, layers=way.layers)


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
        dequantized_layers=plan.dequantized_layers,
        recompute=plan.recompute,
        optimizer=plan.recipe.optimizer.name,
        micro_batch_size=plan.schedule.micro_batch_size,
        length=longest_sequence(plan.data),
        chunked_loss=plan.kernels == "on",
        available=plan.memory.available,
        host_available=plan.memory.host_available,
    )
    return MemoryCase(plan.model, plan.adapter, settings, plan.layers is not None)
