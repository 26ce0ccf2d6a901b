"""Pretrains the base model on the prose, on two CPU threads, so that the same seed gives the same file.

The weights are kept in bfloat16: half the size, and the same answers.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM

from scripts.make_starter.tokenizer import END, PADDING, START

CONTEXT = 256
THREADS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Pretraining:
    """How the base model is pretrained. A batch holds `batch_size` x CONTEXT tokens."""

    steps: int = 1600
    batch_size: int = 16
    learning_rate: float = 4e-3
    warmup_steps: int = 60
    weight_decay: float = 0.05
    seed: int = 11


def make_model(tokenizer: Tokenizer, seed: int) -> LlamaForCausalLM:
    """Llama with grouped-query attention and a tied head: small, and everything a large one has."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=128,
        intermediate_size=352,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.token_to_id(PADDING),
        bos_token_id=tokenizer.token_to_id(START),
        eos_token_id=tokenizer.token_to_id(END),
    )
    return LlamaForCausalLM(config)


def pretrain(
    model: LlamaForCausalLM,
    tokenizer: Tokenizer,
    documents: Sequence[str],
    settings: Pretraining,
    report: Callable[[str], None],
) -> float:
    """Train in place and return the mean loss of the last 50 steps."""
    torch.set_num_threads(THREADS)
    torch.use_deterministic_algorithms(True)
    optimizer = torch.optim.AdamW(_groups(model, settings.weight_decay), lr=settings.learning_rate, betas=(0.9, 0.98))
    started, losses = time.monotonic(), []
    for step, tokens_BT in enumerate(_batches(tokenizer, documents, settings), start=1):
        rate = settings.learning_rate * _rate_share(step, settings)
        for group in optimizer.param_groups:
            group["lr"] = rate
        logits_BTV = model(input_ids=tokens_BT[:, :-1], use_cache=False).logits
        loss = cross_entropy(logits_BTV.flatten(0, 1), tokens_BT[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
        if step % 50 == 0:
            recent = sum(losses[-50:]) / 50
            report(f"step {step}/{settings.steps}  loss {recent:.4f}  {time.monotonic() - started:.0f} s")
    return sum(losses[-50:]) / len(losses[-50:])


def _groups(model: LlamaForCausalLM, weight_decay: float) -> list[dict[str, object]]:
    parameters = list(model.parameters())
    return [
        {"params": [one for one in parameters if one.ndim > 1], "weight_decay": weight_decay},
        {"params": [one for one in parameters if one.ndim == 1], "weight_decay": 0.0},
    ]


def _rate_share(step: int, settings: Pretraining) -> float:
    """Linear warm-up, then half a cosine to nothing."""
    if step <= settings.warmup_steps:
        return step / settings.warmup_steps
    done = (step - settings.warmup_steps) / (settings.steps - settings.warmup_steps)
    return 0.5 * (1.0 + math.cos(math.pi * done))


def _batches(tokenizer: Tokenizer, documents: Sequence[str], settings: Pretraining) -> Iterator[torch.Tensor]:
    """Batches of shape (batch_size, CONTEXT + 1): each epoch strings the documents together in a new order."""
    end = tokenizer.token_to_id(END)
    encoded = [torch.tensor([*encoding.ids, end]) for encoding in tokenizer.encode_batch(list(documents))]
    order = torch.Generator().manual_seed(settings.seed)
    produced = 0
    while True:
        stream = torch.cat([encoded[index] for index in torch.randperm(len(encoded), generator=order).tolist()])
        rows = stream[: len(stream) // (CONTEXT + 1) * (CONTEXT + 1)].view(-1, CONTEXT + 1)
        for batch in rows.split(settings.batch_size):
            if len(batch) == settings.batch_size:
                yield batch
                produced += 1
            if produced == settings.steps:
                return
