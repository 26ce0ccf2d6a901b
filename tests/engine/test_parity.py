"""The engine trains exactly as transformers + PEFT + a plain PyTorch loop do: per-step losses and final adapter."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.tiny import CHATML, write_tiny_model
from tui_tuner.controls import Controls
from tui_tuner.data.packing import pack
from tui_tuner.engine.run import run
from tui_tuner.events import RunFinished, StepFinished
from tui_tuner.recipe import parse_recipe

STEPS, ROWS_PER_STEP, LEARNING_RATE, MAX_LENGTH = 30, 4, 2e-4, 96
STORIES = Path(__file__).parents[3] / "shared/data/models"
LINEARS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
LORA, WITH_MODULES = (), ("embed_tokens", "lm_head")
CASES = [
    ("tiny", LORA),
    ("tiny", WITH_MODULES),
    ("stories260K_hf", LORA),
    ("stories260K_hf", WITH_MODULES),
    ("stories260K_untied_hf", WITH_MODULES),
]
WORDS = ("the", "old", "red", "fox", "sees", "a", "small", "boat", "near", "our", "quiet", "lake", "and", "green")


@dataclass(frozen=True)
class Case:
    """A base model with an untrained adapter, and rows to train on."""

    model: Path
    adapter: Path
    rows: Path


def write_rows(path: Path) -> Path:
    with path.open("w") as file:
        for index in range(20):
            question = " ".join(WORDS[(index + place) % len(WORDS)] for place in range(2 + index % 5))
            answer = " ".join(WORDS[(index * 3 + place) % len(WORDS)] for place in range(1 + index % 4))
            messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
            file.write(json.dumps({"messages": messages}) + "\n")
    return path


def make_case(folder: Path, name: str, saved: Sequence[str]) -> Case:
    model = STORIES / name
    if name == "tiny":
        model = write_tiny_model(folder / "model", vocab_size=512)
    elif not model.is_dir():
        pytest.skip(f"{model} is not on this machine")
    base = AutoModelForCausalLM.from_pretrained(model)
    torch.manual_seed(7)
    config = LoraConfig(
        r=4, lora_alpha=8, target_modules=LINEARS, modules_to_save=list(saved) or None, task_type="CAUSAL_LM",
        ensure_weight_tying=bool(saved) and base.config.tie_word_embeddings,
    )  # fmt: skip
    get_peft_model(base, config).save_pretrained(folder / "adapter")
    (folder / "template.jinja").write_text(CHATML)
    return Case(model, folder / "adapter", write_rows(folder / "rows.jsonl"))


def recipe_text(case: Case, accumulation: int, packed: bool) -> str:
    folder = case.adapter.parent
    return f"""
model = {{source = "{case.model}", adapter = "{case.adapter}", dtype = "float32"}}
output = {{folder = "{folder / "runs"}", name = "parity-{accumulation}"}}
[optimizer]
learning_rate = {LEARNING_RATE}
embedding_learning_rate = {LEARNING_RATE}
schedule = "constant"
warmup_steps = 0
[data]
sources = [{{path = "{case.rows}"}}]
chat_template = "{folder / "template.jinja"}"
evaluation_fraction = 0.0
shuffle = false
max_length = {MAX_LENGTH}
packing = {str(packed).lower()}
[training]
max_steps = {STEPS}
micro_batch_size = {ROWS_PER_STEP // accumulation}
gradient_accumulation = {accumulation}
save_every = 1000
"""


def tokenize(case: Case) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Ids and labels of each row by transformers alone: everything after the generation prompt up to <|im_end|>."""
    tokenizer = AutoTokenizer.from_pretrained(case.model)
    tokenizer.chat_template = CHATML
    examples = []
    for line in case.rows.read_text().splitlines():
        messages = json.loads(line)["messages"]
        prompt = tokenizer.apply_chat_template(messages[:1], tokenize=False, add_generation_prompt=True)
        answer = messages[1]["content"] + "<|im_end|>"
        full = tokenizer.apply_chat_template(messages, tokenize=False)
        assert full == prompt + answer + "\n"
        encoded = tokenizer(full, add_special_tokens=False, return_offsets_mapping=True, return_tensors="pt")
        starts, ends = encoded["offset_mapping"][0].T
        trained = (ends > len(prompt)) & (starts < len(prompt + answer))
        ids = encoded["input_ids"][0]
        examples.append((ids, torch.where(trained, ids, -100)))
    return examples


def steps_of_rows(lengths: list[int], packed: bool) -> Iterator[list[int]]:
    """Indices of the rows of each step; epochs follow each other and their last step may be smaller."""
    sequences = list(pack(lengths, MAX_LENGTH)) if packed else [(index,) for index in range(len(lengths))]
    while True:
        for start in range(0, len(sequences), ROWS_PER_STEP):
            yield [index for members in sequences[start : start + ROWS_PER_STEP] for index in members]


def reference(case: Case, packed: bool) -> tuple[list[float], dict[str, torch.Tensor]]:
    """The plain loop: one row at a time, the loss summed and divided by the step's trained tokens."""
    model: Any = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(case.model), str(case.adapter), is_trainable=True
    )
    parameters = [one for one in model.parameters() if one.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=LEARNING_RATE, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01)
    examples, losses = tokenize(case), []
    steps = steps_of_rows([len(ids) for ids, _ in examples], packed)
    for rows, _ in zip(steps, range(STEPS), strict=False):
        trained = sum(int((examples[row][1][1:] != -100).sum()) for row in rows)
        total = 0.0
        for row in rows:
            ids, labels = examples[row]
            logits = model(input_ids=ids[None]).logits[0, :-1]
            loss = torch.nn.functional.cross_entropy(logits, labels[1:], reduction="sum") / trained
            loss.backward()
            total += loss.item()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(total)
    model.save_pretrained(case.adapter.parent / "reference")
    return losses, load_file(case.adapter.parent / "reference" / "adapter_model.safetensors")


@pytest.mark.parametrize("packed", [False, True], ids=["rows", "packed"])
@pytest.mark.parametrize(("name", "saved"), CASES, ids=lambda value: value if isinstance(value, str) else len(value))
def test_the_engine_equals_a_plain_loop(tmp_path: Path, name: str, saved: tuple[str, ...], packed: bool) -> None:
    case = make_case(tmp_path, name, saved)
    wanted_losses, wanted = reference(case, packed)
    assert max(tensor.abs().max() for key, tensor in wanted.items() if "lora_B" in key) > 10 * LEARNING_RATE
    for accumulation in (1, 4):
        events = list(run(parse_recipe(recipe_text(case, accumulation, packed)), Controls()))
        losses = [event.loss for event in events if isinstance(event, StepFinished)]
        assert losses == pytest.approx(wanted_losses, abs=1e-5, rel=0)
        finished = events[-1]
        assert isinstance(finished, RunFinished)
        ours = load_file(Path(finished.adapter) / "adapter_model.safetensors")
        assert ours.keys() == wanted.keys()
        for key, tensor in wanted.items():
            torch.testing.assert_close(ours[key], tensor, atol=1e-4, rtol=0)
