"""Pretraining is repeatable: the same seed gives the same weights, bit by bit."""

import torch

from scripts.make_starter.corpus import make_documents
from scripts.make_starter.pretraining import Pretraining, make_model, pretrain
from scripts.make_starter.tokenizer import train_tokenizer
from scripts.make_starter.world import make_world

DOCUMENTS = make_documents(make_world(1), 2)[:200]
SETTINGS = Pretraining(steps=3, batch_size=4)


def test_two_pretrainings_give_the_same_weights() -> None:
    first, second = _weights_after_three_steps(), _weights_after_three_steps()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_pretraining_lowers_the_loss() -> None:
    tokenizer = train_tokenizer(DOCUMENTS)
    model = make_model(tokenizer, SETTINGS.seed)
    losses = [pretrain(model, tokenizer, DOCUMENTS, SETTINGS, _silent) for _ in range(2)]
    assert losses[1] < losses[0]


def _weights_after_three_steps() -> dict[str, torch.Tensor]:
    tokenizer = train_tokenizer(DOCUMENTS)
    model = make_model(tokenizer, SETTINGS.seed)
    pretrain(model, tokenizer, DOCUMENTS, SETTINGS, _silent)
    return dict(model.state_dict())


def _silent(_: str) -> None: ...
