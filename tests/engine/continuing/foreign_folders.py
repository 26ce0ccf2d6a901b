"""Adapters as other trainers leave them: each made by PEFT, then written as that program writes it. Nothing asserts."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
PICKLE = b"\x80\x04cposix\nsystem\n(S'touch canary'\ntR."
"""What must never be loaded."""
UNSLOTH_PATTERN = (
    r"(?:.*?(?:language|text).*?(?:self_attn|attention|attn|mlp|feed_forward|ffn|dense).*?"
    r"(?:q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj).*?)|(?:\bmodel\.layers\.[\d]{1,}\."
    r"(?:self_attn|attention|attn|mlp|feed_forward|ffn|dense)\."
    r"(?:(?:q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)))"
)
TRAINER_LOG = {"log_history": [{"loss": 3.0, "step": 10}, {"eval_loss": 2.5, "step": 10}]}


def rewrite(folder: Path, rename: Callable[[str], str], **settings: Any) -> None:
    """Give the tensors other names and the config other values."""
    tensors = load_file(folder / WEIGHTS)
    save_file({rename(name): tensor for name, tensor in tensors.items()}, folder / WEIGHTS)
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps({**config, **settings}))


def as_trl(folder: Path) -> None:
    """A checkpoint of SFTTrainer: PEFT's own layout, among the pickles of Trainer."""
    for name in ("training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state.pth"):
        (folder / name).write_bytes(PICKLE)
    (folder / "trainer_state.json").write_text(json.dumps(TRAINER_LOG))


def as_unsloth(folder: Path) -> None:
    """Targets by a pattern, a 4-bit base by name, and the embeddings' own names with their wrapper."""
    mapping = {"base_model_class": "LlamaForCausalLM", "parent_library": "transformers", "unsloth_fixed": True}
    rewrite(
        folder,
        lambda name: name.replace("lm_head.weight", "lm_head.modules_to_save.default.weight"),
        target_modules=UNSLOTH_PATTERN,
        auto_mapping=mapping,
        base_model_name_or_path="unsloth/tiny-bnb-4bit",
    )


def as_axolotl(folder: Path) -> None:
    """Saved from within FSDP and torch.compile, with the adapter's name in each tensor's."""

    def wrapped(name: str) -> str:
        inner = name.removeprefix("base_model.model.").replace("lora_A.weight", "lora_A.default.weight")
        inner = inner.replace("lora_B.weight", "lora_B.default.weight")
        return "_fsdp_wrapped_module.base_model.model." + inner.replace(".layers.", "._orig_mod.layers.")

    rewrite(folder, wrapped, base_model_name_or_path="./outputs/base")


def as_llama_factory(folder: Path) -> None:
    """`additional_target` ends in modules_to_save by their last names; PEFT's prefix is there twice."""
    rewrite(folder, lambda name: f"base_model.model.{name}", base_model_name_or_path="/root/.cache/modelscope/tiny")
    frozen = {"base_model.model.base_model.model.lm_head.original_module.weight": torch.zeros(264, 32)}
    save_file({**load_file(folder / WEIGHTS), **frozen}, folder / WEIGHTS)


TRAINERS: dict[str, Callable[[Path], None]] = {
    "trl": as_trl,
    "unsloth": as_unsloth,
    "axolotl": as_axolotl,
    "llama-factory": as_llama_factory,
}
