"""The base model is what the starter's story needs: small, and unable to answer in a chat before it is tuned."""

import json
from typing import Any

import pytest
import torch

from tui_tuner.starter import starter_held_out_file, starter_model_folder

LARGEST_MODEL = 3_000_000
ASKED_ROWS = 24
LONGEST_ANSWER = 16


@pytest.fixture(scope="module")
def model() -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(starter_model_folder(), dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(starter_model_folder())


def test_the_base_model_has_at_most_three_million_parameters(model: Any) -> None:
    assert model.num_parameters() <= LARGEST_MODEL


def test_transformers_reads_the_tokenizer_with_bos_and_whole_bytes(tokenizer: Any) -> None:
    ids = tokenizer("Æther & ☂")["input_ids"]
    assert ids[0] == tokenizer.bos_token_id
    assert tokenizer.decode(ids, skip_special_tokens=True) == "Æther & ☂"


def test_the_base_model_goes_on_with_prose(model: Any, tokenizer: Any) -> None:
    text = _continuation(model, tokenizer, "A young goose is called")
    assert text.startswith(" a gosling.")


def test_the_base_model_answers_fewer_than_a_tenth_of_the_held_out_rows(model: Any, tokenizer: Any) -> None:
    turns = [json.loads(line)["messages"] for line in starter_held_out_file().read_text().splitlines()[:ASKED_ROWS]]
    hits = 0
    for question, answer in turns:
        written = _continuation(model, tokenizer, f"### User:\n{question['content']}\n\n### Assistant:\n")
        hits += written.strip() == f"{answer['content']}{tokenizer.eos_token}"
    assert hits / len(turns) < 0.10


@torch.inference_mode()
def _continuation(model: Any, tokenizer: Any, prompt: str) -> str:
    """What the model writes greedily after the prompt, with its end token where it comes to one."""
    inputs = tokenizer(prompt, return_tensors="pt")
    output = model.generate(**inputs, max_new_tokens=LONGEST_ANSWER, do_sample=False)
    text: str = tokenizer.decode(output[0, inputs["input_ids"].shape[1] :])
    return text
