"""Answers: they stop where turns end, and neither padding nor streaming nor batching changes them."""

from typing import Any

import pytest
import torch

from tests.tiny import tiny_model
from tui_tuner.engine.generation import GENERATION_BATCH, answer_greedily, stream_tokens

NEVER = (1,)
PROMPTS = [[10, 20, 30], [11, 21, 31, 41, 51, 61, 71], [12], [13, 23, 33, 43]]


@pytest.fixture(scope="module")
def model() -> Any:
    """A model with opinions: the random one repeats itself."""
    made = tiny_model()
    torch.manual_seed(5)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return made


def greedily(model: Any, prompt: list[int], max_tokens: int) -> list[int]:
    """The most likely token, again and again, without a cache."""
    ids = list(prompt)
    with torch.no_grad():
        for _ in range(max_tokens):
            ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
    return ids[len(prompt) :]


def test_padding_beside_longer_prompts_does_not_change_an_answer(model: Any) -> None:
    together = answer_greedily(model, PROMPTS, NEVER, 6)
    assert [list(one.token_ids) for one in together] == [greedily(model, prompt, 6) for prompt in PROMPTS]
    assert len({one.token_ids for one in together}) == len(PROMPTS)


def test_an_answer_ends_before_the_token_that_stops_it(model: Any) -> None:
    free = greedily(model, PROMPTS[0], 6)
    stop = next(token for place, token in enumerate(free) if place >= 2 and token not in free[:place])
    (answer,) = answer_greedily(model, PROMPTS[:1], (stop,), 6)
    assert (list(answer.token_ids), answer.stopped) == (free[: free.index(stop)], True)


def test_an_answer_that_runs_into_the_limit_did_not_stop(model: Any) -> None:
    answers = answer_greedily(model, PROMPTS, NEVER, 3)
    assert {(len(one.token_ids), one.stopped) for one in answers} == {(3, False)}


def test_without_any_stop_token_an_answer_runs_to_the_limit(model: Any) -> None:
    (answer,) = answer_greedily(model, PROMPTS[:1], (), 4)
    assert (list(answer.token_ids), answer.stopped) == (greedily(model, PROMPTS[0], 4), False)


def test_more_prompts_than_a_batch_keep_their_order(model: Any) -> None:
    prompts = [[10 + number] * (1 + number % 3) for number in range(GENERATION_BATCH + 2)]
    answers = answer_greedily(model, prompts, NEVER, 2)
    assert [list(one.token_ids) for one in answers] == [greedily(model, prompt, 2) for prompt in prompts]


def test_streaming_greedily_gives_the_greedy_answer(model: Any) -> None:
    for prompt in PROMPTS:
        assert list(stream_tokens(model, prompt, NEVER, 6, 0.0)) == greedily(model, prompt, 6)


def test_a_stream_ends_before_the_token_that_stops_it(model: Any) -> None:
    free = greedily(model, PROMPTS[0], 6)
    assert list(stream_tokens(model, PROMPTS[0], (free[2],), 6, 0.0)) == free[: free.index(free[2])]


def test_a_warm_stream_depends_on_the_seed_alone(model: Any) -> None:
    def drawn(seed: int) -> list[int]:
        torch.manual_seed(seed)
        return list(stream_tokens(model, PROMPTS[0], NEVER, 12, 5.0, top_p=1.0))

    assert drawn(1) == drawn(1) != drawn(2)


def test_answering_leaves_the_model_in_its_mode(model: Any) -> None:
    model.train()
    answer_greedily(model, PROMPTS, NEVER, 1)
    assert model.training
    model.eval()
