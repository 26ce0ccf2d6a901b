"""A system that computes something else gets no figure."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tui_tuner.engine.bench.peers.judging import Reference, fault_of, gradient_cosine
from tui_tuner.engine.bench.peers.outside.peer_runner.job import Answer

GRADIENTS = {"a": torch.tensor([1.0, 2.0]), "b": torch.tensor([[2.0], [0.0]])}


def written(path: Path, **changes: torch.Tensor) -> Path:
    save_file(GRADIENTS | changes, path)
    return path


def fault(loss: float, cosine: float) -> str:
    reference = Reference(12.0, Path("unused"))
    return fault_of(Answer(status="done", check_loss=loss), cosine, reference, "bf16")


def test_gradients_are_one_vector(tmp_path: Path) -> None:
    left = written(tmp_path / "left")
    right = written(tmp_path / "right", b=torch.tensor([[-2.0], [0.0]]))
    assert gradient_cosine(left, left) == pytest.approx(1.0)
    assert gradient_cosine(left, right) == pytest.approx(1 / 9)


def test_gradients_of_nothing_are_not_alike(tmp_path: Path) -> None:
    zeros = {name: torch.zeros_like(value) for name, value in GRADIENTS.items()}
    assert gradient_cosine(written(tmp_path / "left"), written(tmp_path / "right", **zeros)) == 0.0


def test_other_tensors_are_not_compared(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="other tensors have gradients: c"):
        gradient_cosine(written(tmp_path / "left"), written(tmp_path / "right", c=torch.ones(1)))


def test_an_equal_result_has_no_fault() -> None:
    assert fault(12.001, 0.999) == ""


@pytest.mark.parametrize(
    ("loss", "cosine", "said"),
    [
        (12.5, 1.0, "its loss is 12.5000, the reference's 12.0000"),
        (float("nan"), 1.0, "its loss is nan"),
        (12.0, 0.5, "its gradients' cosine with the reference's is 0.5000"),
        (12.0, float("nan"), "its gradients' cosine with the reference's is nan"),
    ],
)
def test_what_differs_is_said(loss: float, cosine: float, said: str) -> None:
    assert said in fault(loss, cosine)
