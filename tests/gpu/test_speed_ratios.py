"""Speed beside a plain HF + PEFT step and beside the machine's own products: no worse than what is stored."""

import os
from pathlib import Path

import pytest
import torch

from benchmarks.ratios import CASES, measure, read_ratios
from tui_tuner.engine.bench.peers.cases import Case

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU; none is visible"),
]
MARGIN = 0.85
"""Share of a stored ratio that must be reached: runs of the same code differ by 5 %, host-bound peers by 10 %."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_no_slower_than_what_is_stored(models: Path, case: Case) -> None:
    if "PYTEST_XDIST_WORKER" in os.environ:
        pytest.skip("other tests use the GPU meanwhile; run this file without -n")
    name = torch.cuda.get_device_name()
    stored = read_ratios(name).get(case.name)
    if stored is None:
        pytest.skip(f"no ratios are stored for {name}; `python3 -m benchmarks.ratios --write` stores them")
    found = measure(case, models)
    assert found.against_hf >= MARGIN * stored.against_hf
    assert found.share_of_limit >= MARGIN * stored.share_of_limit
