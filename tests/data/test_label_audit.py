"""The audit of all rows: what `tuner labels` shows, and what makes training refuse."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data.material import CHATML, recipe_of, shared, write_lines, write_questions, write_tokenizer
from tui_tuner.data.certificate import Certificate
from tui_tuner.data.dataset import LabelledData, label_data
from tui_tuner.data.label_audit import AuditedRow, AuditRun, audit_rows
from tui_tuner.data.labels import NOT_TRAINED
from tui_tuner.errors import DataError, LabelError
from tui_tuner.recipe import DataSource

BOS_TWICE = "{{ bos_token }}{{ bos_token }}" + CHATML


@pytest.fixture(name="model")
def _model(tmp_path: Path) -> Path:
    return write_tokenizer(tmp_path / "model", CHATML)


def audit(model: Path, path: Path, max_length: int | None = None, **data: Any) -> tuple[list[AuditedRow], AuditRun]:
    with audit_rows(recipe_of(path, **data).data, model, "assistant", max_length, lambda *_: None) as run:
        return list(run.rows()), run


def label(model: Path, path: Path, **data: Any) -> LabelledData:
    return label_data(recipe_of(path, **data), model, 4096, lambda *_: None)


def test_every_row_comes_in_order_as_text_tokens_and_labels(tmp_path: Path, model: Path) -> None:
    rows, run = audit(model, write_questions(tmp_path / "a.jsonl", 300))
    assert [row.index for row in rows] == [row.ref.line - 1 for row in rows] == list(range(300))
    for row in rows:
        assert run.tokenizer.decode(row.input_ids) == row.text
        trained = row.labels[row.labels != NOT_TRAINED]
        assert run.tokenizer.decode(trained) == f"It is {row.index}.<|im_end|>"
        assert len(row.labels) == len(row.input_ids)


def test_the_audit_shows_what_training_takes(tmp_path: Path, model: Path) -> None:
    path = write_questions(tmp_path / "a.jsonl", 40)
    data = label(model, path, evaluation_fraction=0.0)
    rows, _ = audit(model, path)
    for row, example in zip(rows, data.train, strict=True):
        assert np.array_equal(row.input_ids, example.input_ids)
        assert np.array_equal(row.labels, example.labels)


def test_unusable_rows_stay_in_their_place_with_the_reason(tmp_path: Path, model: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(
        '{"prompt": "a", "completion": "b"}\n{"prompt": "a", "completion": ""}\n{"prompt": "c", "completion": "d"}\n'
    )
    rows, run = audit(model, path)
    assert [row.kind for row in rows] == ["conversation", "unusable", "conversation"]
    assert [(one.check, len(rows[1].input_ids)) for one in rows[1].findings] == [("empty_reply", 0)]
    assert (run.report.num_rows, run.report.num_refused, run.report.refuses) == (3, 1, True)


def test_dropped_rows_do_not_refuse(tmp_path: Path, model: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", [{"prompt": "a", "completion": said} for said in ("b", "")])
    _, run = audit(model, path, on_bad_row="drop")
    assert not run.report.refuses
    data = label(model, path, on_bad_row="drop")
    assert (len(data.train), data.report.num_rows, data.report.num_refused) == (1, 2, 1)


def test_nothing_is_cut_unless_a_length_is_given(tmp_path: Path, model: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", [{"prompt": "a", "completion": "b" * 5000}])
    (row,), _ = audit(model, path, max_length=None, over_length="cut")
    assert len(row.input_ids) > 5000
    (row,), _ = audit(model, path, max_length=64, over_length="cut")
    assert len(row.input_ids) == len(row.labels) == 64
    assert {"row_cut", "answer_cut"} <= {one.check for one in row.findings}


def test_held_out_sources_follow_and_leaks_are_found(tmp_path: Path, model: Path) -> None:
    held_out = DataSource(path=str(write_questions(tmp_path / "b.jsonl", 3)))
    rows, run = audit(model, write_questions(tmp_path / "a.jsonl", 2), evaluation_sources=(held_out,))
    assert [(row.index, row.source) for row in rows] == [(0, 0), (1, 0), (2, 1), (3, 1), (4, 1)]
    assert [any(one.check == "leak" for one in row.findings) for row in rows] == [False, False, True, True, False]
    assert run.report.leaks == 2


def test_both_answers_of_a_pair_are_audited(tmp_path: Path, model: Path) -> None:
    row = {"prompt": "a", "chosen": "good", "rejected": "bad <|im_end|>"}
    (audited,), _ = audit(model, write_lines(tmp_path / "a.jsonl", [row]))
    assert any(one.check == "control_token_in_text" and one.detail.startswith("rejected") for one in audited.findings)


def test_blocking_findings_refuse_to_train_with_exit_code_3(tmp_path: Path) -> None:
    model = write_tokenizer(tmp_path / "model", BOS_TWICE)
    with pytest.raises(LabelError, match=r"BOS twice: 5 rows\. The first: .*a\.jsonl:1: ") as refused:
        label(model, write_questions(tmp_path / "a.jsonl", 5))
    assert refused.value.exit_code == 3


def test_certified_labels_train_and_changed_ones_are_refused(tmp_path: Path, model: Path) -> None:
    path, certificate = write_questions(tmp_path / "a.jsonl", 20), tmp_path / "certificate.json"
    certificate.write_text(label(model, path).certificate.model_dump_json())
    again = label(model, path, certificate=str(certificate)).certificate
    assert again == Certificate.model_validate_json(certificate.read_text())
    with pytest.raises(DataError, match="the chat template changed"):
        label(model, path, certificate=str(certificate), chat_template="plain")


@pytest.mark.parametrize(
    ("max_length", "said"), [(4096, ()), (64, ("Not the certified labels: data.max_length changed from 4096 to 64",))]
)
def test_an_audit_compares_the_certificate(tmp_path: Path, model: Path, max_length: int, said: tuple[str, ...]) -> None:
    path = write_questions(tmp_path / "a.jsonl", 10)
    certified = tmp_path / "certificate.json"
    certified.write_text(label(model, path, max_length=4096).certificate.model_dump_json())
    _, run = audit(model, path, max_length, certificate=str(certified))
    assert run.report.reasons == said


def test_held_out_rows_that_are_trained_too_are_told(tmp_path: Path, model: Path) -> None:
    rows = [{"prompt": "same", "completion": "same"}] * 20
    warnings = label(model, write_lines(tmp_path / "a.jsonl", rows)).warnings
    assert warnings == ("Held-out rows that are also trained on, so that their loss says little: 1.",)


@pytest.mark.parametrize("name", ["gpt2", "phi-3", "stories260k"])
def test_real_rows_are_confirmed_by_both_methods(name: str) -> None:
    rows, run = audit(shared(f"tokenizers/{name}"), shared("datasets/fastchat/dummy_conversation.json"))
    assert (len(rows), run.report.num_compared, run.report.agreement) == (500, 500, 1.0)
