"""How many sequences go through the model at once, how many make a step, and what layers keep meanwhile."""

from dataclasses import dataclass, replace

from tui_tuner.plan import AdapterPlan, DataFacts, Decision, LayerCounts, MemoryEstimate, ModelFacts
from tui_tuner.planning.fitting.case import HOST_SHARE, MemoryCase, longest_sequence
from tui_tuner.planning.machine_plan import MachineChoice
from tui_tuner.planning.memory import GIB, MemorySettings
from tui_tuner.planning.own_layers.counts import Recompute, own_layers_obstacle
from tui_tuner.planning.own_layers.ways import Way, busy_tokens, relative_speed, way_words
from tui_tuner.planning.schedule import accumulation_for_tokens, sequences_per_step, tokens_per_sequence
from tui_tuner.recipe import Recipe

ESTIMATE_ERROR = 0.05
"""Of a plan's memory, at most; tests hold it to measured peaks."""
MOST_TOKENS = {"cuda": 32_768, "cpu": 8_192}
"""Tokens of one forward pass above which more at once no longer makes a step faster, with a model's own layers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchChoice:
    """Micro-batch, accumulation, recompute, and the memory they lead to."""

    micro_batch_size: int
    gradient_accumulation: int
    recompute: Recompute
    layers: LayerCounts | None
    keeps_transposed: bool
    dequantized_layers: int
    memory: MemoryEstimate
    decisions: tuple[Decision, ...]
    warnings: tuple[str, ...]


def choose_batch(
    recipe: Recipe, model: ModelFacts, adapter: AdapterPlan, machine: MachineChoice, data: DataFacts
) -> BatchChoice:
    """The fastest plan that fits: enough tokens at once to keep the device busy, and little computed again."""
    own = own_layers_obstacle(model.model_type, adapter, machine.kernels) is None
    case = MemoryCase(model, adapter, _settings(recipe, machine, data), own)
    wanted = _wanted_sequences(recipe, data)
    micro, way = _micro_batch(recipe, case, wanted, machine)
    case = _with_more_weights(recipe, case, micro, way)
    accumulation = _accumulation(recipe, data, wanted, micro)
    memory = case.estimate(micro, way)
    return BatchChoice(
        micro_batch_size=micro,
        gradient_accumulation=accumulation,
        recompute=way.recompute,
        layers=way.layers,
        keeps_transposed=case.settings.keeps_transposed,
        dequantized_layers=case.settings.dequantized_layers,
        memory=memory,
        decisions=_decisions(recipe, case, micro, accumulation, way, memory),
        warnings=_warnings(memory, machine),
    )


def _settings(recipe: Recipe, machine: MachineChoice, data: DataFacts) -> MemorySettings:
    return MemorySettings(
        device=machine.device,
        dtype=machine.dtype,
        quantization=machine.quantization,
        recompute="off",
        optimizer=recipe.optimizer.name,
        micro_batch_size=1,
        length=longest_sequence(data),
        chunked_loss=machine.kernels == "on",
        available=machine.available,
        host_available=machine.host_available,
    )


def _wanted_sequences(recipe: Recipe, data: DataFacts) -> int:
    """Sequences in one optimizer step, before anything is divided into micro-batches."""
    training = recipe.training
    if training.tokens_per_step != "auto":
        return max(1, round(training.tokens_per_step / tokens_per_sequence(data)))
    return sequences_per_step(data)


def _micro_batch(recipe: Recipe, case: MemoryCase, wanted: int, machine: MachineChoice) -> tuple[int, Way]:
    """Of the sizes that fit, each with the fastest way, the one that promises most tokens a second."""
    asked, recompute = recipe.training.micro_batch_size, recipe.acceleration.recompute
    if asked != "auto":
        return asked, case.fastest(asked, recompute) or case.smallest(asked, recompute)
    if recipe.training.gradient_accumulation != "auto":
        wanted = max(1, wanted // recipe.training.gradient_accumulation)
    length = case.settings.length
    most = max(1, min(wanted, _most_tokens(case, machine) // length))
    sizes = [1 << exponent for exponent in range(most.bit_length())]
    fitting = [(micro, way) for micro in sizes if (way := case.fastest(micro, recompute)) is not None]
    if not fitting:
        return 1, case.smallest(1, recompute)
    return max(fitting, key=lambda one: relative_speed(case.model, one[1], one[0] * length, length))


def _most_tokens(case: MemoryCase, machine: MachineChoice) -> int:
    """Of one micro-batch: what keeps the device busy, since more would only take memory."""
    is_ours = case.has_own_layers and machine.device == "cuda"
    return busy_tokens(case.model) if is_ours else MOST_TOKENS[machine.device]


def _with_more_weights(recipe: Recipe, case: MemoryCase, micro: int, way: Way) -> MemoryCase:
    """Hold a quantised base in a faster form too where nothing else needs the memory: what layers keep gains more a
    byte. In fp8 that is the other order of all weights, in NF4 the compute type, for as many layers as fit.
    """
    if way.recompute != "off" or way.layers is None:
        return case
    if case.settings.quantization == "fp8":
        both = replace(case, settings=replace(case.settings, keeps_transposed=True))
        return both if both.fits(micro, way) else case
    # Without a budget that may be used up, 4 bits stand for the wish to take little. With one, they must fit though the
    # estimate were as far off as it ever is: a layer that computes again because of them costs what ten of them gain.
    if case.settings.quantization == "nf4" and case.settings.device == "cuda" and recipe.acceleration.vram != "auto":
        numbers = range(case.model.num_layers, 0, -1)
        cases = (replace(case, settings=replace(case.settings, dequantized_layers=number)) for number in numbers)
        return next((one for one in cases if one.fits(micro, way, error=ESTIMATE_ERROR)), case)
    return case


def _accumulation(recipe: Recipe, data: DataFacts, wanted: int, micro: int) -> int:
    training = recipe.training
    if training.gradient_accumulation != "auto":
        return training.gradient_accumulation
    if training.tokens_per_step != "auto":
        return accumulation_for_tokens(training.tokens_per_step, data, micro)
    return max(1, round(wanted / micro))


def _warnings(memory: MemoryEstimate, machine: MachineChoice) -> tuple[str, ...]:
    if memory.host_available is not None and memory.host > HOST_SHARE * memory.host_available:
        needed, free = memory.host / GIB, memory.host_available / GIB
        return (
            f"what layers send to the host takes {needed:.1f} GiB of its memory, and {free:.1f} GiB are free: the "
            "system may end the run; set acceleration.recompute to another way, or shorten data.max_length",
        )
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
    recipe: Recipe, case: MemoryCase, micro: int, accumulation: int, way: Way, memory: MemoryEstimate
) -> tuple[Decision, ...]:
    decisions = []
    free = "" if memory.available is None else f" of {memory.available / GIB:.1f}"
    if recipe.training.micro_batch_size == "auto":
        reason = f"{_busy_words(case, micro)}{memory.total / GIB:.1f}{free} GiB expected at the peak"
        decisions.append(Decision(field="training.micro_batch_size", value=str(micro), reason=reason))
    if recipe.training.gradient_accumulation == "auto":
        asked = recipe.training.tokens_per_step
        reason = f"{micro * accumulation} sequences a step" + (
            ": about 16 rows, or fewer so that an epoch has 10 steps" if asked == "auto" else f", about {asked} tokens"
        )
        decisions.append(Decision(field="training.gradient_accumulation", value=str(accumulation), reason=reason))
    if recipe.acceleration.recompute == "auto":
        reason = _recompute_reason(way)
        decisions.append(Decision(field="acceleration.recompute", value=way.recompute, reason=reason))
    if number := case.settings.dequantized_layers:
        held = f"the weights of {number} of {case.model.num_layers} layers in {case.settings.dtype}"
        reason = f"has room for {held} beside their 4 bits"
        decisions.append(Decision(field="acceleration.vram", value=f"{recipe.acceleration.vram}", reason=reason))
    return tuple(decisions)


def _busy_words(case: MemoryCase, micro: int) -> str:
    if not case.has_own_layers or case.settings.device != "cuda":
        return ""
    tokens, busy = micro * case.settings.length, busy_tokens(case.model)
    return f"up to {tokens:,} tokens at once, where {busy:,} keep a GPU busy; "


def _recompute_reason(way: Way) -> str:
    counts = way_words(way)
    return {
        "off": "all activations fit, so nothing is computed twice",
        "selective": f"as many layers as fit keep everything that backward needs ({counts})",
        "layers": f"activations of all layers do not fit beside enough tokens ({counts})",
        "offload": f"not even the inputs of all layers fit beside enough tokens ({counts})",
    }[way.recompute]
