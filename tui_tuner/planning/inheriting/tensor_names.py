"""Names of an adapter's tensors as PEFT saves them, from the names that other programs leave in a file."""

import re

PEFT_PREFIX = "base_model.model."
LORA_A, LORA_B, MAGNITUDE = ".lora_A.weight", ".lora_B.weight", ".lora_magnitude_vector"
# What torch.compile, FSDP and activation checkpointing put between the parts of a name.
_WRAPPERS = re.compile(r"(?:^|(?<=\.))(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
_PART = re.compile(r"\.lora_(A|B)(?:\.[^.]+)?\.weight$")
_MAGNITUDE = re.compile(r"\.lora_magnitude_vector(?:\.(?!weight$)[^.]+)?(?:\.weight)?$")
_WHOLE = re.compile(r"\.modules_to_save(?:\.[^.]+)?\.(weight|bias)$")
_BASE = re.compile(r"\.base_layer\.(weight|bias)$")


def saved_name(stored: str) -> str | None:
    """What PEFT would call a tensor; None for a frozen copy of the base, which is no part of the adapter.

    An adapter's own name ("default"), the prefixes of wrappers, and a PEFT prefix that is missing or doubled vanish;
    a whole module stands under its own name, however it was wrapped.
    """
    name = _WRAPPERS.sub("", stored).removeprefix("module.")
    while name.startswith(PEFT_PREFIX):
        name = name.removeprefix(PEFT_PREFIX)
    if ".original_module." in name:
        return None
    name = _PART.sub(r".lora_\1.weight", name)
    name = _MAGNITUDE.sub(MAGNITUDE, name)
    name = _WHOLE.sub(r".\1", name)
    return PEFT_PREFIX + _BASE.sub(r".\1", name)


def module_path(name: str) -> str:
    """Path in the model of the module that a tensor belongs to, by its saved name."""
    path = name.removeprefix(PEFT_PREFIX)
    for ending in (LORA_A, LORA_B, MAGNITUDE):
        if path.endswith(ending):
            return path.removesuffix(ending)
    return path.rpartition(".")[0]


def is_low_rank(name: str) -> bool:
    """Whether a saved name is of a part of LoRA or DoRA, and not of a whole module."""
    return name.endswith((LORA_A, LORA_B, MAGNITUDE))
