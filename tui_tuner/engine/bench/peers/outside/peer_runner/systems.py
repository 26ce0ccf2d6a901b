"""How each peer loads a model and puts LoRA on it, by its public functions alone and as its own guides tell.

A peer is imported inside its function: Unsloth must come before transformers, and Liger changes transformers.
"""

from collections.abc import Callable
from typing import Any

import torch

from .job import Job

TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
DTYPES = {"bf16": torch.bfloat16, "nf4": torch.bfloat16, "f32": torch.float32}
Load = Callable[[Job], Any]


def load(job: Job) -> Any:
    """The peer's model with its adapters, in training mode on its device.

    Raises:
        ImportError: the peer is not there.
    """
    return SYSTEMS[job.system](job)


def load_hf(job: Job) -> Any:
    """Hugging Face's model with SDPA attention, PEFT's LoRA."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    dtype = torch.float32 if job.in_float32 else DTYPES[job.base]
    options: dict[str, Any] = {"dtype": dtype, "attn_implementation": "sdpa"}
    if job.base == "nf4":
        options["quantization_config"] = _nf4(dtype)
    place = {"": 0} if job.device == "cuda" else {"": "cpu"}
    model = AutoModelForCausalLM.from_pretrained(job.model, device_map=place, **options)
    model.config.use_cache = False
    if job.recompute != "off":
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        model.enable_input_require_grads()
    config = LoraConfig(r=job.rank, lora_alpha=job.alpha, target_modules=TARGETS, task_type="CAUSAL_LM")
    return get_peft_model(model, config).train()


def load_liger(job: Job) -> Any:
    """The same with Liger's kernels in the place of transformers' modules."""
    import liger_kernel.transformers as liger
    from transformers import AutoConfig

    kind = AutoConfig.from_pretrained(job.model).model_type
    apply = getattr(liger, f"apply_liger_kernel_to_{kind}", None)
    if apply is None:
        raise ImportError(f"liger-kernel has nothing for {kind}")
    apply()
    return load_hf(job)


def load_unsloth(job: Job) -> Any:
    """Unsloth's model; "unsloth" is its own recomputing, with inputs in host memory."""
    from unsloth import FastLanguageModel

    model, _ = FastLanguageModel.from_pretrained(
        job.model, max_seq_length=job.max_length, dtype=DTYPES[job.base], load_in_4bit=job.base == "nf4",
        load_in_16bit=job.base != "nf4",
    )  # fmt: skip
    model = FastLanguageModel.get_peft_model(
        model, r=job.rank, target_modules=TARGETS, lora_alpha=job.alpha, lora_dropout=0, bias="none",
        use_gradient_checkpointing=False if job.recompute == "off" else "unsloth", max_seq_length=job.max_length,
    )  # fmt: skip
    FastLanguageModel.for_training(model)
    return model


def _nf4(dtype: torch.dtype) -> Any:
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )  # fmt: skip


SYSTEMS: dict[str, Load] = {"hf": load_hf, "liger": load_liger, "unsloth": load_unsloth}
