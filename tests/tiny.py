"""Tiny real models for tests: random weights of a real architecture, with a byte-level tokenizer, in a folder."""

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

SPECIAL_TOKENS = ("<pad>", "<s>", "</s>", "<|im_start|>", "<|im_end|>")
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def byte_tokenizer(chat_template: str | None = CHATML) -> Any:
    """One token for each byte, and a few special ones: 261 in all."""
    vocabulary = {token: index for index, token in enumerate([*SPECIAL_TOKENS, *sorted(_byte_letters())])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>",
        additional_special_tokens=["<|im_start|>", "<|im_end|>"],
    )  # fmt: skip
    fast.chat_template = chat_template
    return fast


def _byte_letters() -> list[str]:
    return list(pre_tokenizers.ByteLevel.alphabet())


def tiny_model(model_type: str = "llama", **changes: Any) -> Any:
    """A causal language model of two small layers, seeded, in float32."""
    settings: dict[str, Any] = {
        "vocab_size": 264,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "max_position_embeddings": 512,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
        "tie_word_embeddings": False,
    }
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(AutoConfig.for_model(model_type, **(settings | changes))).eval()


def write_tiny_model(folder: Path, model_type: str = "llama", **changes: Any) -> Path:
    """Save a tiny model with its tokenizer; returns the folder."""
    tiny_model(model_type, **changes).save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return folder
