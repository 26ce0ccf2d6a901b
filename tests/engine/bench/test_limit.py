"""What the machine's products and attention alone take."""

import pytest
import torch

from tests.plans import llama_plan
from tui_tuner.engine.bench import limit as module
from tui_tuner.engine.bench.limit import Work, measure_limit
from tui_tuner.plan import ModelFacts

CPU = torch.device("cpu")
WORK = Work(documents=2, length=32, trained_share=0.5)


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS_EACH", 0.0)


def tiny(**changes: int) -> ModelFacts:
    """Two layers: q, k, v, o of 32 x (32 + 32 + 32 + 32) and three of 32 x 48."""
    facts = {
        "hidden_size": 32, "num_layers": 2, "num_heads": 4, "num_kv_heads": 4, "head_dim": 8, "intermediate_size": 48,
        "vocab_size": 64, "num_linear_parameters": 2 * (4 * 32 * 32 + 3 * 32 * 48),
    }  # fmt: skip
    return llama_plan().model.model_copy(update=facts | changes)


def test_operations_are_two_for_each_weight_token_and_direction() -> None:
    limit = measure_limit(tiny(), WORK, CPU, torch.float32)
    assert limit is not None
    assert limit.tokens == 64
    assert limit.product_operations == 2 * 2 * tiny().num_linear_parameters * 64
    assert limit.tokens_per_second == pytest.approx(64 / limit.seconds)
    assert min(limit.products_seconds, limit.attention_seconds, limit.head_seconds) > 0


def test_layers_of_another_shape_have_no_limit() -> None:
    assert measure_limit(tiny(num_linear_parameters=100_000), WORK, CPU, torch.float32) is None


def test_grouped_queries_are_timed_as_they_are() -> None:
    facts = tiny(num_kv_heads=2, num_linear_parameters=2 * (3 * 32 * 32 + 3 * 32 * 48))
    assert measure_limit(facts, WORK, CPU, torch.float32) is not None
