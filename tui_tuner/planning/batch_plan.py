"""How many sequences go through the model at once, how many make a step, and whether layers are recomputed."""

from dataclasses import dataclass, replace
from typing import Literal

from tui_tuner.plan import AdapterPlan, DataFacts, Decision, LayerCounts, MemoryEstimate, ModelFacts
from tui_tuner.planning.machine_plan import MachineChoice
from tui_tuner.planning.memory import GIB, MemorySettings, estimate_memory
from tui_tuner.planning.own_layers.counts import Recompute, layer_counts, own_layers_obstacle
from tui_tuner.planning.schedule import accumulation_for_tokens, sequences_per_step, tokens_per_sequence
from tui_tuner.recipe import Recipe

ENOUGH_TOKENS = 4096
"""Tokens of one forward pass from which a GPU is busy: below, recomputing layers for a larger micro-batch pays."""
MOST_TOKENS = {"cuda": 32_768, "cpu": 8_192}
"""Tokens of one forward pass above which more at once no longer makes a step faster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchChoice:
    """Micro-batch, accumulation, recompute, and the memory they lead to."""

    micro_batch_size: int
    gradient_accumulation: int
    recompute: Recompute
    layers: LayerCounts | None
    memory: MemoryEstimate
    decisions: tuple[Decision, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Case:
    """Everything that the estimate of one candidate needs."""

    model: ModelFacts
    adapter: AdapterPlan
    settings: MemorySettings

    has_own_layers: bool

    def layers(self, recompute: Recompute, kept: int = 1) -> LayerCounts | None:
        return layer_counts(recompute, self.model.num_layers, kept) if self.has_own_layers else None

    def estimate(self, micro_batch_size: int, recompute: Recompute, kept: int = 1) -> MemoryEstimate:
        layers = self.layers(recompute, kept)
        settings = replace(self.settings, micro_batch_size=micro_batch_size, recompute=recompute, layers=layers)
        return estimate_memory(self.model, self.adapter, settings)

    def fits(self, micro_batch_size: int, recompute: Recompute, kept: int = 1) -> bool:
        available = self.settings.available
        return available is None or self.estimate(micro_batch_size, recompute, kept).total <= available

    def most_kept(self, micro_batch_size: int) -> int:
        """Layers that may keep everything while the others recompute; 1 where not even that fits."""
        counts = range(self.model.num_layers, 1, -1)
        return next((kept for kept in counts if self.fits(micro_batch_size, "selective", kept)), 1)


def choose_batch(
    recipe: Recipe, model: ModelFacts, adapter: AdapterPlan, machine: MachineChoice, data: DataFacts
) -> BatchChoice:
    """The fastest plan that fits: without recompute if enough tokens fit at once, else with it."""
    own = own_layers_obstacle(model.model_type, adapter, machine.kernels) is None
    case = _Case(model, adapter, _settings(recipe, machine, data), own)
    wanted = _wanted_sequences(recipe, data)
    micro, recompute = _micro_batch(recipe, case, wanted, machine)
    recompute, kept = _kept(recipe, case, micro, recompute)
    accumulation = _accumulation(recipe, data, wanted, micro)
    memory = case.estimate(micro, recompute, kept)
    warnings = _warnings(memory, machine)
    return BatchChoice(
        micro_batch_size=micro,
        gradient_accumulation=accumulation,
        recompute=recompute,
        layers=case.layers(recompute, kept),
        memory=memory,
        decisions=_decisions(recipe, micro, accumulation, recompute, memory, kept),
        warnings=warnings,
    )


def _settings(recipe: Recipe, machine: MachineChoice, data: DataFacts) -> MemorySettings:
    is_padded = not data.packing and data.longest is not None
    length = min(data.longest, data.max_length) if is_padded and data.longest is not None else data.max_length
    return MemorySettings(
        device=machine.device,
        dtype=machine.dtype,
        quantization=machine.quantization,
        recompute="off",
        optimizer=recipe.optimizer.name,
        micro_batch_size=1,
        length=length,
        chunked_loss=machine.kernels == "on",
        available=machine.available,
    )


def _wanted_sequences(recipe: Recipe, data: DataFacts) -> int:
    """Sequences in one optimizer step, before anything is divided into micro-batches."""
    training = recipe.training
    if training.tokens_per_step != "auto":
        return max(1, round(training.tokens_per_step / tokens_per_sequence(data)))
    return sequences_per_step(data)


def _micro_batch(recipe: Recipe, case: _Case, wanted: int, machine: MachineChoice) -> tuple[int, Recompute]:
    asked, recompute = recipe.training.micro_batch_size, recipe.acceleration.recompute
    policies = _policies(recompute, case)
    if asked != "auto":
        fitting = next((policy for policy in policies if case.fits(asked, policy)), policies[-1])
        return asked, fitting
    if recipe.training.gradient_accumulation != "auto":
        wanted = max(1, wanted // recipe.training.gradient_accumulation)
    most = max(1, min(wanted, MOST_TOKENS[machine.device] // case.settings.length))
    enough = min(most, -(-ENOUGH_TOKENS // case.settings.length))
    largest = {policy: _largest_fitting(case, policy, most) for policy in policies}
    if largest[policies[0]] >= enough:
        return largest[policies[0]], policies[0]
    if case.has_own_layers and (busy := next((one for one in policies if largest[one] >= enough), None)):
        # More at once is hardly faster; what memory is left lets some layers keep everything, which is.
        return 1 << (enough - 1).bit_length(), busy
    best = max(policies, key=lambda policy: largest[policy])
    return (largest[best], best) if largest[best] else (1, policies[-1])


def _policies(asked: Recompute | Literal["auto"], case: _Case) -> tuple[Recompute, ...]:
    """From the fastest to the smallest; what layers keep between those is settled once the batch is."""
    if asked == "off":
        return ("off",)
    if not case.has_own_layers:
        return ("off", "layers") if asked == "auto" else ("layers",)
    if asked == "auto":
        # On a processor the host's memory is the device's.
        return ("off", "layers", "offload") if case.settings.device == "cuda" else ("off", "layers")
    return ("layers",) if asked == "selective" else (asked,)


def _kept(recipe: Recipe, case: _Case, micro: int, recompute: Recompute) -> tuple[Recompute, int]:
    """Fill the memory that is left with layers that keep everything, where neither none nor all need to recompute."""
    if recompute != "layers" or not case.has_own_layers or recipe.acceleration.recompute == "layers":
        return recompute, 1
    kept = case.most_kept(micro) if case.settings.available is not None else 1
    if kept == case.model.num_layers:
        return "off", kept
    return ("selective", kept) if kept > 1 else ("layers", 1)


def _largest_fitting(case: _Case, recompute: Recompute, most: int) -> int:
    """Largest power of two that fits; 0 if not even one sequence does."""
    micro = 1 << (most.bit_length() - 1)
    while micro and not case.fits(micro, recompute):
        micro //= 2
    return micro


def _accumulation(recipe: Recipe, data: DataFacts, wanted: int, micro: int) -> int:
    training = recipe.training
    if training.gradient_accumulation != "auto":
        return training.gradient_accumulation
    if training.tokens_per_step != "auto":
        return accumulation_for_tokens(training.tokens_per_step, data, micro)
    return max(1, round(wanted / micro))


def _warnings(memory: MemoryEstimate, machine: MachineChoice) -> tuple[str, ...]:
    if memory.available is None or memory.total <= memory.available:
        return ()
    advice = "shorten data.max_length or choose a smaller model"
    if machine.device == "cuda" and machine.quantization == "none":
        advice = 'set model.quantization = "nf4", or ' + advice
    return (
        f"the estimate is {memory.total / GIB:.1f} GiB and {memory.available / GIB:.1f} GiB are free: it will "
        f"probably run out of memory; {advice}",
    )


def _decisions(
    recipe: Recipe, micro: int, accumulation: int, recompute: Recompute, memory: MemoryEstimate, kept: int
) -> tuple[Decision, ...]:
    decisions = []
    free = "" if memory.available is None else f" of {memory.available / GIB:.1f}"
    if recipe.training.micro_batch_size == "auto":
        reason = f"{memory.total / GIB:.1f}{free} GiB expected at the peak"
        decisions.append(Decision(field="training.micro_batch_size", value=str(micro), reason=reason))
    if recipe.training.gradient_accumulation == "auto":
        asked = recipe.training.tokens_per_step
        reason = f"{micro * accumulation} sequences a step" + (
            ": about 16 rows, or fewer so that an epoch has 10 steps" if asked == "auto" else f", about {asked} tokens"
        )
        decisions.append(Decision(field="training.gradient_accumulation", value=str(accumulation), reason=reason))
    if recipe.acceleration.recompute == "auto":
        reason = {
            "off": "all activations fit, so nothing is computed twice",
            "selective": f"{kept} layers keep everything that backward needs, which fills the memory; the others not",
            "layers": "activations of all layers do not fit beside enough tokens: each layer keeps its input only",
            "offload": "not even the inputs of all layers fit beside enough tokens: they wait in host memory",
        }[recompute]
        decisions.append(Decision(field="acceleration.recompute", value=recompute, reason=reason))
    return tuple(decisions)
