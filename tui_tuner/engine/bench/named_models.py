"""Writes Llama and Qwen checkpoints of real shapes, with random weights and a byte-level tokenizer: no download."""

from pathlib import Path
from typing import Any, get_args

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from tui_tuner.engine.bench.shape_names import ShapeName

ROPE = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
LLAMA = {
    "model_type": "llama", "vocab_size": 128256, "num_attention_heads": 32, "num_key_value_heads": 8,
    "max_position_embeddings": 524288, "rms_norm_eps": 1e-5,
}  # fmt: skip
SHAPES: dict[ShapeName, dict[str, Any]] = {
    "8b": {
        **LLAMA, "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
        "rope_parameters": {**ROPE, "factor": 8.0}, "tie_word_embeddings": False,
    },
    "1b": {
        **LLAMA, "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "head_dim": 64,
        "rope_parameters": {**ROPE, "factor": 32.0}, "tie_word_embeddings": True,
    },
    "0.5b": {
        "model_type": "qwen2", "vocab_size": 151936, "hidden_size": 896, "intermediate_size": 4864,
        "num_hidden_layers": 24, "num_attention_heads": 14, "num_key_value_heads": 2,
        "max_position_embeddings": 32768, "tie_word_embeddings": True,
    },
    "small": {
        **LLAMA, "vocab_size": 32768, "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 4,
        "head_dim": 64, "tie_word_embeddings": True,
    },
    "tiny": {
        **LLAMA, "vocab_size": 512, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 4096,
    },
}  # fmt: skip
assert set(SHAPES) == set(get_args(ShapeName))
INTO_RESIDUAL = ("o_proj.weight", "down_proj.weight")
SPECIAL_TOKENS = ["<pad>", "<s>", "</s>", "<unk>", "<|user|>", "<|assistant|>"]
TEMPLATE = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}</s>{% endfor %}"


def write_random_model(folder: Path, shape: ShapeName, dtype: torch.dtype = torch.bfloat16) -> Path:
    """A Hugging Face folder; the one that is there already is kept.

    "8b" is Llama-3.1-8B with a context of 524,288, "1b" Llama-3.2-1B, "0.5b" Qwen2.5-0.5B. "small" has four layers
    of "1b" and a smaller vocabulary, "tiny" is for tests on a processor. Weights are random, in the proportions
    of trained ones.
    """
    if (folder / "config.json").exists():
        return folder
    settings = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, **SHAPES[shape]}
    config = AutoConfig.for_model(**settings)
    torch.manual_seed(0)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    _put_in_proportion(model)
    model.save_pretrained(folder, max_shard_size="4GB")
    _tokenizer(config.vocab_size).save_pretrained(folder)
    return folder


@torch.no_grad()
def _put_in_proportion(model: Any) -> None:
    """As transformers draws them, a wide layer's output is larger than what it is added to. Rounding then grows from
    layer to layer as in no trained model, until gradients of two right systems have little in common
    (docs/performance.md).

    Products of normed inputs get a deviation of one, and so do scores. With a head of its own all layers together add
    no more than the embeddings are. A tied head would then always find the token that was put in, so that such a model
    keeps its embeddings.
    """
    config = model.config
    for name, weight in model.named_parameters():
        if name.endswith("_proj.weight"):
            weight.mul_(weight.shape[1] ** -0.5 / config.initializer_range)
        if not config.tie_word_embeddings and name.endswith(INTO_RESIDUAL):
            weight.mul_((2 * config.num_hidden_layers) ** -0.5)
        if not config.tie_word_embeddings and name.endswith("embed_tokens.weight"):
            weight.mul_(1 / config.initializer_range)


def _tokenizer(vocab_size: int) -> Any:
    """One token for each byte of a text; the rest of the vocabulary are names that no text has."""
    tokens = [*SPECIAL_TOKENS, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokens += [f"<|extra_{number}|>" for number in range(len(tokens), vocab_size)]
    tokenizer = Tokenizer(models.BPE(vocab={token: number for number, token in enumerate(tokens)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>",
        additional_special_tokens=["<|user|>", "<|assistant|>"],
    )  # fmt: skip
    fast.chat_template = TEMPLATE
    return fast
