"""Pretrains the base model on the prose, on one CPU thread, so that the same seed gives the same file.

The weights are kept in bfloat16: half the size, and the same answers.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from tokenizers import Tokenizer
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM

from scripts.make_starter.tokenizer import END, PADDING, START

CONTEXT = 256
"""Positions that the model offers."""
SEQUENCE = 128
"""Tokens of one pretraining sequence: most documents are shorter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pretraining:
    """How the base model is pretrained. A batch holds `batch_size` x SEQUENCE tokens."""

    steps: int = 2000
    batch_size: int = 16
    matrix_learning_rate: float = 0.005
    """Of Muon, which learns these facts in far fewer steps than AdamW alone."""
    learning_rate: float = 6e-3
    """Of AdamW, for embeddings and norms."""
    warmup_steps: int = 60
    weight_decay: float = 0.05
    seed: int = 11


def make_sums_repeatable() -> None:
    """For this process: sums in one order, whatever the number of processors."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)


def make_model(tokenizer: Tokenizer, seed: int) -> LlamaForCausalLM:
    """Llama with grouped-query attention and a tied head: small, and everything a large one has."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=128,
        intermediate_size=352,
        num_hidden_layers=3,
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
    optimizers = _optimizers(model, settings)
    schedules = [torch.optim.lr_scheduler.LambdaLR(one, partial(_rate_share, settings)) for one in optimizers]
    started, losses = time.monotonic(), []
    for step, tokens_BT in enumerate(_batches(tokenizer, documents, settings), start=1):
        logits_BTV = model(input_ids=tokens_BT[:, :-1], use_cache=False).logits
        loss = cross_entropy(logits_BTV.flatten(0, 1), tokens_BT[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer, schedule in zip(optimizers, schedules, strict=True):
            optimizer.step()
            schedule.step()
        model.zero_grad()
        losses.append(loss.item())
        if step % 50 == 0:
            recent = sum(losses[-50:]) / 50
            report(f"step {step}/{settings.steps}  loss {recent:.4f}  {time.monotonic() - started:.0f} s")
    return sum(losses[-50:]) / len(losses[-50:])


def _optimizers(model: LlamaForCausalLM, settings: Pretraining) -> list[torch.optim.Optimizer]:
    matrices = [one for name, one in model.named_parameters() if one.ndim == 2 and "embed" not in name]
    others = [one for name, one in model.named_parameters() if one.ndim == 1 or "embed" in name]
    return [
        torch.optim.Muon(matrices, lr=settings.matrix_learning_rate, weight_decay=settings.weight_decay),
        torch.optim.AdamW(others, lr=settings.learning_rate, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def _rate_share(settings: Pretraining, steps_done: int) -> float:
    """Linear warm-up, then half a cosine to nothing."""
    if steps_done < settings.warmup_steps:
        return (steps_done + 1) / settings.warmup_steps
    share = (steps_done - settings.warmup_steps) / (settings.steps - settings.warmup_steps)
    return 0.5 * (1.0 + math.cos(math.pi * share))


def _batches(tokenizer: Tokenizer, documents: Sequence[str], settings: Pretraining) -> Iterator[torch.Tensor]:
    """Batches of shape (batch_size, SEQUENCE + 1): each epoch strings the documents together in a new order."""
    end = tokenizer.token_to_id(END)
    encoded = [torch.tensor([*encoding.ids, end]) for encoding in tokenizer.encode_batch(list(documents))]
    order = torch.Generator().manual_seed(settings.seed)
    produced = 0
    while True:
        stream = torch.cat([encoded[index] for index in torch.randperm(len(encoded), generator=order).tolist()])
        rows = stream[: len(stream) // (SEQUENCE + 1) * (SEQUENCE + 1)].view(-1, SEQUENCE + 1)
        for batch in rows.split(settings.batch_size):
            if len(batch) == settings.batch_size:
                yield batch
                produced += 1
            if produced == settings.steps:
                return
