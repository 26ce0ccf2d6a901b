"""Chat opens whatever a person names, and its two voices are the base and the tuned model."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from tests.engine.tiny_runs import Done, train
from tests.tiny import byte_tokenizer, write_tiny_model
from tui_tuner.engine.chat import Chat, open_chat
from tui_tuner.errors import AdapterError, RunError

ASKED = [{"role": "user", "content": "hi ann"}]
LEARN = (
    "training.max_steps=12", "training.micro_batch_size=12", "training.gradient_accumulation=1",
    'adapter.modules_to_save=["embed_tokens", "lm_head"]', "optimizer.embedding_learning_rate=0.05",
)  # fmt: skip


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    return train(tmp_path_factory.mktemp("chat"), *LEARN)


def said(chat: Chat, *, tuned: bool, temperature: float = 0.0, seed: int = 0) -> str:
    pieces = chat.reply(ASKED, tuned=tuned, max_tokens=12, temperature=temperature, seed=seed)
    return "".join(pieces)


def base_answer(folder: Path) -> str:
    """What the base says by itself."""
    tokenizer = byte_tokenizer()
    text = tokenizer.apply_chat_template(ASKED, tokenize=False, add_generation_prompt=True)
    ids = tokenizer(text, return_tensors="pt").input_ids
    model = AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        for _ in range(12):
            ids = torch.cat([ids, model(ids).logits[:, -1].argmax(-1, keepdim=True)], dim=1)
    return str(tokenizer.decode(ids[0, -12:], skip_special_tokens=True)).rstrip("\N{REPLACEMENT CHARACTER}")


@pytest.mark.parametrize("named", ["run", "path of the run", "adapter", "checkpoint"])
def test_a_run_and_its_adapters_answer_tuned_and_as_the_base(done: Done, named: str) -> None:
    sources = {
        "run": "one",
        "path of the run": str(done.folder),
        "adapter": str(done.folder / "adapter"),
        "checkpoint": str(done.folder / "checkpoints" / "step-000012"),
    }
    chat = open_chat(sources[named], str(done.folder.parent), "cpu")
    assert chat.has_adapter
    assert said(chat, tuned=True).startswith("ok")
    assert said(chat, tuned=False) == base_answer(done.folder.parents[1] / "model")


def test_a_model_folder_answers_without_an_adapter(tmp_path: Path) -> None:
    chat = open_chat(str(write_tiny_model(tmp_path / "model")), device="cpu")
    assert not chat.has_adapter
    assert said(chat, tuned=True) == said(chat, tuned=False) == base_answer(tmp_path / "model")


def test_a_fully_trained_run_answers_as_its_own_model(tmp_path: Path) -> None:
    done = train(tmp_path, "adapter.method=full", "training.max_steps=12", "optimizer.learning_rate=0.02")
    chat = open_chat("one", str(done.folder.parent), "cpu")
    assert not chat.has_adapter
    assert said(chat, tuned=True) == base_answer(done.folder / "model") != base_answer(tmp_path / "model")


def test_warm_answers_depend_on_the_seed(done: Done) -> None:
    chat = open_chat("one", str(done.folder.parent), "cpu")
    first, again, other = (said(chat, tuned=False, temperature=3.0, seed=seed) for seed in (1, 1, 2))
    assert first == again != other


def test_a_run_without_an_adapter_is_refused(done: Done, tmp_path: Path) -> None:
    (tmp_path / "early").mkdir()
    (tmp_path / "early" / "events.jsonl").write_bytes((done.folder / "events.jsonl").read_bytes())
    with pytest.raises(RunError, match="Run early has no adapter yet"):
        open_chat("early", str(tmp_path), "cpu")


def test_an_adapter_whose_base_has_changed_is_refused(tmp_path: Path) -> None:
    done = train(tmp_path, "training.max_steps=1")
    write_tiny_model(tmp_path / "model", hidden_size=64, head_dim=16)
    with pytest.raises(AdapterError, match="could not be put on its base model"):
        open_chat("one", str(done.folder.parent), "cpu")
