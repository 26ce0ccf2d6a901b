from pathlib import Path

import pytest

from tests.planning.recipes import facts, plan
from tui_tuner.planning.capacity import adapter_capacity


@pytest.mark.parametrize(("tokens", "verdict"), [(10**9, "full"), (30_000, "tight"), (1000, "ample"), (20, "spare")])
def test_the_verdict_follows_the_share_of_the_capacity(tokens: int, verdict: str, tmp_path: Path) -> None:
    planned = plan(tmp_path, "adapter.rank=16")
    found = adapter_capacity(planned.adapter, facts(num_trained_tokens=tokens))
    assert found is not None and found.verdict == verdict, found


def test_nothing_is_said_where_the_trained_tokens_are_not_known(tmp_path: Path) -> None:
    assert adapter_capacity(plan(tmp_path).adapter, facts(num_trained_tokens=None)) is None
