"""Adapters with a strong, random effect on tiny models, made by PEFT itself. Nothing here asserts."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

from tests.tiny import tiny_model, write_tiny_model
from tui_tuner.engine.exporting.export import export
from tui_tuner.events import Event
from tui_tuner.exports import ExportEvent, ExportFinished, ExportKind, ExportRequest

PROMPT = (1, 10, 50, 70, 20, 33, 90, 41, 12, 99)
NEW_TOKENS = 12
END_TOKENS = (2, 4)
"""</s> and <|im_end|> of the byte tokenizer."""
Kind = TypeVar("Kind", bound=Event)


def strong(model: Any, seed: int = 1) -> Any:
    """The same with weights so large that answers vary; embeddings stay small beside what the layers add."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter.add_(0.2 * torch.randn_like(parameter))
            else:
                parameter.copy_((0.05 if "embed" in name else 0.3) * torch.randn_like(parameter))
    return model


def write_strong_model(folder: Path, model_type: str = "llama", **changes: Any) -> Path:
    write_tiny_model(folder, model_type, **changes)
    strong(tiny_model(model_type, **changes)).save_pretrained(folder)
    return folder


def write_adapter(folder: Path, base: Path, *, num_tokens: int | None = None, **settings: Any) -> Path:
    """An adapter on a base, all of whose tensors are random; `num_tokens` resizes the vocabulary first."""
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    if num_tokens is not None:
        model.resize_token_embeddings(num_tokens)
    chosen: dict[str, Any] = {"r": 4, "lora_alpha": 8, "target_modules": "all-linear", "task_type": "CAUSAL_LM"}
    # PEFT takes names out of the lists that it is given.
    tuned = get_peft_model(model, LoraConfig(**copy.deepcopy(chosen | settings)))
    torch.manual_seed(2)
    with torch.no_grad():
        for name, parameter in tuned.named_parameters():
            if "lora_B" in name or "modules_to_save" in name:
                parameter.add_(0.1 * torch.randn_like(parameter))
    tuned.save_pretrained(folder, save_embedding_layers=False)
    return folder


def live_model(adapter: Path, base: Path, num_tokens: int | None = None) -> Any:
    """The adapter on its base, by PEFT."""
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    if num_tokens is not None:
        model.resize_token_embeddings(num_tokens)
    return PeftModel.from_pretrained(model, str(adapter)).eval()


def whole_model(folder: Path, **options: Any) -> Any:
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **options).eval()


@torch.inference_mode()
def greedy(model: Any, prompt: tuple[int, ...] = PROMPT) -> list[int]:
    ids = torch.tensor([prompt])
    written = model.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=NEW_TOKENS, do_sample=False,
        eos_token_id=None, pad_token_id=0,
    )  # fmt: skip
    tokens: list[int] = written[0, len(prompt) :].tolist()
    return tokens


def up_to_end(tokens: list[int]) -> list[int]:
    """Up to the first token that ends an answer, and with it: programs stop there by themselves."""
    place = next((place for place, token in enumerate(tokens, start=1) if token in END_TOKENS), len(tokens))
    return tokens[:place]


def exported(source: Path, kind: ExportKind, out: Path, **options: Any) -> tuple[ExportEvent, ...]:
    return tuple(export(ExportRequest(source=str(source), kinds=(kind,), out=str(out), **options)))


def of(kind: type[Kind], events: tuple[ExportEvent, ...]) -> list[Kind]:
    return [event for event in events if isinstance(event, kind)]


def finished(events: tuple[ExportEvent, ...]) -> Iterator[Path]:
    """The files that were written, but for the card."""
    for event in of(ExportFinished, events):
        yield from (Path(event.folder) / file.name for file in event.files if file.name != "README.md")
