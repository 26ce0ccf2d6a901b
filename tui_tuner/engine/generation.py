"""Answers from the model in memory: greedy or sampled, in batches or streamed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import GenerationConfig, LogitsProcessorList, TemperatureLogitsWarper, TopPLogitsWarper

GENERATION_BATCH = 32


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model wrote after a prompt, without the token that ended it."""

    token_ids: tuple[int, ...]
    stopped: bool
    """Whether the model ended its turn by itself, within the limit."""


@torch.inference_mode()
def answer_greedily(
    module: Any, prompts: Sequence[Sequence[int]], stop_ids: Sequence[int], max_tokens: int
) -> list[Answer]:
    """One greedy answer for each prompt, in order; prompts of similar length share a batch."""
    was_training = module.training
    module.eval()
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
    answers: dict[int, Answer] = {}
    for start in range(0, len(order), GENERATION_BATCH):
        chosen = order[start : start + GENERATION_BATCH]
        written = _generate(module, [prompts[index] for index in chosen], stop_ids, max_tokens)
        answers.update(zip(chosen, written, strict=True))
    module.train(was_training)
    return [answers[index] for index in range(len(prompts))]


@torch.inference_mode()
def stream_tokens(
    module: Any,
    prompt: Sequence[int],
    stop_ids: Sequence[int],
    max_tokens: int,
    temperature: float,
    top_p: float = 0.95,
    generator: torch.Generator | None = None,
) -> Iterator[int]:
    """The tokens of one answer as they come; greedy at temperature 0. Draws from torch's global generator, or from one
    on the model's device."""
    device = module.get_input_embeddings().weight.device
    warpers = LogitsProcessorList()
    if temperature > 0:
        warpers += [TemperatureLogitsWarper(temperature), TopPLogitsWarper(top_p)]
    seen = torch.tensor([list(prompt)], device=device)
    cache, fresh = None, seen
    for _ in range(max_tokens):
        output = module(input_ids=fresh, past_key_values=cache, use_cache=True, logits_to_keep=1)
        cache, scores = output.past_key_values, warpers(seen, output.logits[:, -1].float())
        fresh = (
            torch.multinomial(scores.softmax(-1), 1, generator=generator)
            if temperature > 0
            else scores.argmax(-1, keepdim=True)
        )
        token = int(fresh)
        if token in stop_ids:
            return
        seen = torch.cat([seen, fresh], dim=1)
        yield token


def _generate(
    module: Any, prompts: Sequence[Sequence[int]], stop_ids: Sequence[int], max_tokens: int
) -> Iterator[Answer]:
    device = module.get_input_embeddings().weight.device
    width = max(len(prompt) for prompt in prompts)
    input_ids = torch.zeros(len(prompts), width, dtype=torch.long)
    attention_mask = torch.zeros_like(input_ids)
    for row, prompt in enumerate(prompts):
        input_ids[row, width - len(prompt) :] = torch.tensor(list(prompt))
        attention_mask[row, width - len(prompt) :] = 1
    # Learned positions end with the context: beyond it there is nothing to look up.
    room = getattr(module.config.get_text_config(), "max_position_embeddings", width + max_tokens) - width
    # A config of its own: the model's may sample, and greedy answers must be repeatable.
    config = GenerationConfig(
        max_new_tokens=max(1, min(max_tokens, room)),
        do_sample=False,
        eos_token_id=list(stop_ids) or None,
        pad_token_id=stop_ids[0] if stop_ids else 0,
        use_cache=True,
    )
    output = module.generate(
        input_ids=input_ids.to(device), attention_mask=attention_mask.to(device), generation_config=config
    )
    for row in output[:, width:].tolist():
        end = next((place for place, token in enumerate(row) if token in stop_ids), None)
        yield Answer(tuple(row[:end]), end is not None)
