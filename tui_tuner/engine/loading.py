"""From checked files to a base model on its device, quantised as planned. Nothing here decides anything."""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

from tui_tuner.engine.fp8_base import hold_in_fp8
from tui_tuner.engine.model import TrainingModel
from tui_tuner.errors import MachineError, ModelError
from tui_tuner.families import family_for
from tui_tuner.kernels.linear_cross_entropy import HeadOptions
from tui_tuner.plan import RunPlan

DTYPES = {"bfloat16": torch.bfloat16, "float32": torch.float32}


def load_model(plan: RunPlan) -> TrainingModel:
    """Load the plan's base model.

    Raises:
        ModelError: transformers refuses the folder; its reason is in the message.
        MachineError: the weights do not fit the device.
    """
    device = torch.device("cuda", torch.cuda.current_device()) if plan.device == "cuda" else torch.device("cpu")
    if plan.threads is not None:
        torch.set_num_threads(plan.threads)
    compute_dtype = DTYPES[plan.dtype]
    is_full = plan.adapter.method == "full"
    quantises = plan.quantization == "nf4" and plan.model.stored_quantization is None
    module = load_module(
        model_folder(plan),
        torch.device("cpu") if _passes_host(plan) else device,
        torch.float32 if is_full else compute_dtype,
        nf4_compute=compute_dtype if quantises else None,
        remote_code=plan.recipe.model.remote_code,
    )
    if plan.quantization == "fp8":
        hold_in_fp8(module, device)
        module.to(device)
    return TrainingModel(
        module=module,
        device=device,
        compute_dtype=compute_dtype,
        head=_head_options(plan, module),
        uses_autocast=is_full,
    )


def _passes_host(plan: RunPlan) -> bool:
    """Whether a base that is to be held in fp8 would not fit the device in 16 bits before."""
    available = plan.memory.available
    return plan.quantization == "fp8" and available is not None and 2 * plan.model.num_parameters > available


def recompute_layers(module: nn.Module) -> None:
    """Let the model's own layers keep their inputs only, and compute the rest again in backward."""
    module.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})  # type: ignore[operator]
    # Without this, checkpointing cuts the graph below the first adapter when the embeddings are frozen.
    module.enable_input_require_grads()  # type: ignore[operator]


def load_module(
    folder: Path, device: torch.device, dtype: torch.dtype, *, nf4_compute: torch.dtype | None, remote_code: bool
) -> Any:
    """The Hugging Face model alone, in evaluation mode.

    Args:
        nf4_compute: quantise linear modules to NF4 while loading, with products in this type; None leaves them as
            they are stored.

    Raises:
        ModelError: transformers refuses the folder, or its files lack weights, which would stay random.
        MachineError: the weights do not fit the device.
    """
    options: dict[str, Any] = {"dtype": dtype, "device_map": {"": str(device)}}
    if nf4_compute is not None:
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=nf4_compute,
        )
    try:
        module, found = AutoModelForCausalLM.from_pretrained(
            folder, trust_remote_code=remote_code, use_safetensors=True, output_loading_info=True, **options
        )
    except torch.OutOfMemoryError as error:
        raise MachineError(
            f"The weights of {folder} do not fit the GPU's memory.",
            'Set model.quantization = "nf4", or choose a smaller model.',
        ) from error
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise ModelError(
            f"{folder} could not be loaded: {first_line(error)}",
            "Check that the files belong together; download them again if in doubt.",
        ) from error
    if missing := sorted(found["missing_keys"]):
        raise ModelError(
            f"{folder} lacks {len(missing)} of the model's weights, first {missing[0]}.",
            "Check that config.json and the weight files belong together; download them again if in doubt.",
        )
    return module


def model_folder(plan: RunPlan) -> Path:
    """The local folder of the base model. Raises ModelError if the plan has none."""
    if plan.model.folder is None:
        raise ModelError(
            f"{plan.model.source} is not on this machine.", "Connect to the network once, or name a local folder."
        )
    return Path(plan.model.folder)


def _head_options(plan: RunPlan, module: nn.Module) -> HeadOptions | None:
    """How the family's loss is computed outside `forward`; None where only the model itself knows."""
    family = family_for(plan.model.model_type)
    head = module.get_output_embeddings()  # type: ignore[operator]
    trains_head_adapter = any(target.path.endswith("lm_head") for target in plan.adapter.targets)
    if plan.kernels == "off" or head.bias is not None or trains_head_adapter:
        return None
    config = module.config
    return HeadOptions(logit_scale=family.logit_scale(config), softcap=family.softcap(config))


def first_line(error: BaseException) -> str:
    """What an exception of a library says, in one line."""
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
