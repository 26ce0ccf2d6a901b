"""Where a run computes and how its base is held: device, type, quantisation, kernels."""

from dataclasses import dataclass
from typing import Literal

from tui_tuner.errors import MachineError, Problem
from tui_tuner.hardware import Gpu, Hardware
from tui_tuner.plan import AdapterPlan, Decision, ModelFacts
from tui_tuner.planning.memory import GIB, MemorySettings, estimate_memory
from tui_tuner.planning.own_layers.counts import layer_counts, own_layers_obstacle, plain_reason
from tui_tuner.recipe import Recipe

BFLOAT16_CAPABILITY = (8, 0)
FP8_CAPABILITY = (8, 9)
FP8_MULTIPLE = 16
"""What 8-bit products ask of every width."""
ONE_THREAD_PARAMETERS = 10_000_000
"""Below this a product is over before a second thread has woken up, and on busy cores the two wait for each other."""
SMALLEST_LENGTH = 512
"""Length of the one sequence that must fit beside 16-bit weights before 4 bit is chosen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineChoice:
    """Device and types of a run."""

    device: Literal["cpu", "cuda"]
    dtype: Literal["bfloat16", "float32"]
    quantization: Literal["none", "fp8", "nf4"]
    kernels: Literal["on", "off"]
    threads: int | None = None
    """Processor threads that compute; None on a GPU."""
    available: int | None
    """Bytes that the run may use on its device; None where that could not be read."""
    host_available: int | None = None
    """Free memory of the host beside a GPU; None where there is none, or it could not be read."""


def choose_machine(
    recipe: Recipe, hardware: Hardware, model: ModelFacts, adapter: AdapterPlan
) -> tuple[MachineChoice, tuple[Decision, ...]]:
    """Device, compute type, quantisation and kernels, each with its reason where the recipe left it open.

    Raises:
        MachineError: the recipe asks for a GPU and there is none.
    """
    device, device_reason = _device(recipe, hardware)
    gpu = hardware.gpus[0] if device == "cuda" else None
    available = _available(recipe, hardware, gpu)
    dtype, dtype_reason = _dtype(recipe, gpu)
    open_choice = MachineChoice(device=device, dtype=dtype, quantization="none", kernels="on", available=available)
    quantization, quantization_reason = _quantization(recipe, model, adapter, open_choice)
    kernels, kernels_reason = _kernels(recipe, model)
    if kernels == "on" and (beside := plain_reason(adapter)) is not None:
        kernels_reason += f"; with {beside} adapters are computed beside the joined products"
    threads, threads_reason = _threads(recipe, hardware, model)
    found: tuple[tuple[str, object, str, str], ...] = (
        ("acceleration.device", recipe.acceleration.device, device, device_reason),
        ("model.dtype", recipe.model.dtype, dtype, dtype_reason),
        ("model.quantization", recipe.model.quantization, quantization, quantization_reason),
        ("acceleration.kernels", recipe.acceleration.kernels, kernels, kernels_reason),
    )
    if device == "cpu":
        found += (("acceleration.threads", recipe.acceleration.threads, str(threads), threads_reason),)
    decisions = tuple(
        Decision(field=field, value=value, reason=reason) for field, asked, value, reason in found if asked == "auto"
    )
    choice = MachineChoice(
        device=device,
        dtype=dtype,
        quantization=quantization,
        kernels=kernels,
        threads=threads if device == "cpu" else None,
        available=available,
        host_available=(hardware.ram_free_bytes or None) if device == "cuda" else None,
    )
    return choice, decisions


def device_name(hardware: Hardware, device: Literal["cpu", "cuda"]) -> str:
    """What a speed is measured on: the GPU, or so many processors of a kind."""
    if device == "cuda":
        return hardware.gpus[0].name if hardware.gpus else ""
    return f"{hardware.cpu_count} x {hardware.cpu_name}"


def machine_problems(recipe: Recipe, hardware: Hardware, model: ModelFacts) -> list[Problem]:
    """What of the recipe cannot be on this machine with this model."""
    problems = []
    on_cpu = recipe.acceleration.device == "cpu" or not hardware.gpus
    if on_cpu and recipe.optimizer.name != "adamw":
        message = f'is "{recipe.optimizer.name}", which needs a GPU; on a CPU use "adamw"'
        problems.append(Problem(path="optimizer.name", message=message))
    if recipe.adapter.method == "full" and (recipe.model.quantization == "nf4" or model.stored_quantization):
        message = (
            'holds the base in 4 bit, which method = "full" cannot train; use "none" and 16-bit weights, or "lora"'
        )
        problems.append(Problem(path="model.quantization", message=message))
    elif recipe.model.quantization == "none" and model.stored_quantization:
        message = f'is "none", but {model.source} is stored as {model.stored_quantization}; name its 16-bit original'
        problems.append(Problem(path="model.quantization", message=message))
    elif recipe.model.quantization == "fp8":
        problems += _fp8_problems(recipe, hardware, model)
    return problems


def _fp8_problems(recipe: Recipe, hardware: Hardware, model: ModelFacts) -> list[Problem]:
    """What stands against a base in 8 bits. On a CPU its products are computed in float32, for trying things out."""
    gpu = hardware.gpus[0] if hardware.gpus and recipe.acceleration.device != "cpu" else None
    widths = (model.hidden_size, model.intermediate_size, model.num_heads * model.head_dim)
    odd = next((width for width in (*widths, model.num_kv_heads * model.head_dim) if width % FP8_MULTIPLE), None)
    messages: list[str] = []
    if recipe.adapter.method == "full":
        messages.append('is "fp8", which method = "full" cannot train; use "none"')
    if model.stored_quantization:
        messages.append(
            f'is "fp8", but {model.source} is stored as {model.stored_quantization}; name its 16-bit original'
        )
    if gpu is not None and gpu.compute_capability < FP8_CAPABILITY:
        had, needed = (".".join(map(str, one)) for one in (gpu.compute_capability, FP8_CAPABILITY))
        messages.append(f'is "fp8", which needs compute capability {needed}; {gpu.name} has {had}: use "none" or "nf4"')
    if gpu is not None and recipe.model.dtype == "float32":
        messages.append('is "fp8", whose products a GPU gives in bfloat16; leave model.dtype on auto')
    if odd is not None:
        messages.append(
            f'is "fp8", which needs widths that are multiples of {FP8_MULTIPLE}; this model has one of {odd}'
        )
    return [Problem(path="model.quantization", message=message) for message in messages]


def quantised_module_problems(model: ModelFacts, adapter: AdapterPlan, choice: MachineChoice) -> list[Problem]:
    """What cannot be trained beside a base that is held in 4 or 8 bit."""
    whole = [module.path for module in adapter.saved_modules if module.group == "other"]
    if choice.quantization != "none" and whole:
        held = f"{choice.quantization} holds in {'4' if choice.quantization == 'nf4' else '8'} bit"
        message = f'trains {whole[0]} in full, which {held}; leave it out or set model.quantization = "none"'
        return [Problem(path="adapter.modules_to_save", message=message)]
    if choice.quantization == "fp8" and adapter.use_dora:
        message = 'is "dora", whose norms need the base\'s own weights, not 8-bit ones; use "lora" or another base'
        return [Problem(path="adapter.variant", message=message)]
    obstacle = own_layers_obstacle(model.model_type, adapter, choice.kernels)
    if choice.quantization == "fp8" and adapter.method == "lora" and obstacle is not None:
        message = f'is "fp8", which only our own decoder layers compute in; here they cannot: {obstacle}'
        return [Problem(path="model.quantization", message=message)]
    return []


def _device(recipe: Recipe, hardware: Hardware) -> tuple[Literal["cpu", "cuda"], str]:
    asked = recipe.acceleration.device
    if asked == "cuda" and not hardware.gpus:
        raise MachineError(
            'acceleration.device is "cuda", but no NVIDIA GPU is visible here.',
            "Run `tuner doctor` to see why, or leave the device on auto.",
        )
    if asked == "cpu" or not hardware.gpus:
        return "cpu", f"no NVIDIA GPU is visible; {hardware.cpu_count} processors are"
    gpu = hardware.gpus[0]
    return "cuda", f"{gpu.name}, {gpu.free_bytes / GIB:.1f} of {gpu.total_bytes / GIB:.1f} GiB free"


def _threads(recipe: Recipe, hardware: Hardware, model: ModelFacts) -> tuple[int, str]:
    asked = recipe.acceleration.threads
    if asked != "auto":
        return asked, "as asked"
    if model.num_parameters < ONE_THREAD_PARAMETERS:
        return 1, "so small a model is no faster on more, and much slower where others use them too"
    return hardware.cpu_count, "all processors"


def _available(recipe: Recipe, hardware: Hardware, gpu: Gpu | None) -> int | None:
    if gpu is None:
        return hardware.ram_free_bytes or None
    return within_budget(recipe, gpu.free_bytes)


def within_budget(recipe: Recipe, free: int) -> int:
    """Bytes of a GPU that the plan may use."""
    budget = recipe.acceleration.vram
    return free if budget == "auto" else min(free, int(budget * GIB))


def _dtype(recipe: Recipe, gpu: Gpu | None) -> tuple[Literal["bfloat16", "float32"], str]:
    if recipe.model.dtype != "auto":
        return recipe.model.dtype, "as asked"
    if gpu is None:
        return "float32", "processors compute float32 faster and more exactly"
    if gpu.compute_capability < BFLOAT16_CAPABILITY:
        return "float32", f"{gpu.name} cannot compute in bfloat16"
    return "bfloat16", "half the memory of float32 with the same range"


def _quantization(
    recipe: Recipe, model: ModelFacts, adapter: AdapterPlan, machine: MachineChoice
) -> tuple[Literal["none", "fp8", "nf4"], str]:
    if recipe.model.quantization != "auto":
        return recipe.model.quantization, "as asked"
    if model.stored_quantization is not None:
        return "nf4", "the weight files are 4-bit already"
    if adapter.method == "full":
        return "none", "full fine-tuning trains every weight, and 4-bit weights cannot be trained"
    if machine.device == "cpu":
        return "none", "on a CPU 4 bit only costs time"
    needed = _smallest(recipe, model, adapter, machine)
    if machine.available is None or needed <= machine.available:
        return "none", f"the base fits in {machine.dtype}: at least {needed / GIB:.1f} GiB are needed"
    return "nf4", f"{machine.dtype} would need {needed / GIB:.1f} GiB, {machine.available / GIB:.1f} GiB are free"


def _smallest(recipe: Recipe, model: ModelFacts, adapter: AdapterPlan, machine: MachineChoice) -> int:
    asked = recipe.data.max_length
    kernels, _ = _kernels(recipe, model)
    has_own_layers = own_layers_obstacle(model.model_type, adapter, kernels) is None
    settings = MemorySettings(
        device=machine.device,
        dtype=machine.dtype,
        quantization="none",
        recompute="layers",
        layers=layer_counts("layers", model.num_layers) if has_own_layers else None,
        optimizer=recipe.optimizer.name,
        micro_batch_size=1,
        length=SMALLEST_LENGTH if asked == "auto" else asked,
        chunked_loss=model.is_accelerated,
        available=None,
    )
    return estimate_memory(model, adapter, settings).total


def _kernels(recipe: Recipe, model: ModelFacts) -> tuple[Literal["on", "off"], str]:
    if recipe.acceleration.kernels == "off":
        return "off", "as asked"
    if not model.is_accelerated:
        return "off", f"{model.model_type} is no known family: it runs its own code, unaccelerated"
    return "on", f"the modules of family {model.family} are known"
