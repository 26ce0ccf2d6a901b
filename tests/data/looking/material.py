"""Looks and audits over the same small data. Nothing here asserts."""

import json
from pathlib import Path

from tests.data.material import CHATML, write_tokenizer
from tui_tuner.data.audit.report import LabelReport
from tui_tuner.data.label_audit import AuditedRow, audit_rows
from tui_tuner.data.lengths.settling import OverLength
from tui_tuner.data.looking.look import Fit, Look
from tui_tuner.data.looking.process import answer_request
from tui_tuner.data.looking.request import REQUEST_NAME, FitRequest, LookRequest, fit_name, look_request
from tui_tuner.recipe import DataSection, DataSource

LENGTHS = (1, 1, 2, 5, 9)
"""Exchanges of the rows."""


def write_rows(path: Path) -> Path:
    """Conversations of several lengths, a copy, an empty answer, a line that is no JSON, one without an answer."""
    rows = [json.dumps({"messages": _turns(number, count)}) for number, count in enumerate(LENGTHS)]
    empty = json.dumps({"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": ""}]})
    question = json.dumps({"messages": [{"role": "user", "content": "hi"}]})
    path.write_text("\n".join([*rows, rows[0], empty, "{broken", question]) + "\n", encoding="utf-8")
    return path


def data_of(folder: Path, **changes: object) -> DataSection:
    """The rows, and one of them held out as well."""
    path = write_rows(folder / "rows.jsonl")
    held_out = folder / "held_out.jsonl"
    held_out.write_text(path.read_text(encoding="utf-8").splitlines()[1] + "\n", encoding="utf-8")
    sources = {"sources": (DataSource(path=str(path)),), "evaluation_sources": (DataSource(path=str(held_out)),)}
    return DataSection.model_validate({**sources, "on_bad_row": "drop", **changes})


def tokenizer_folder(folder: Path) -> Path:
    return write_tokenizer(folder / "model", CHATML)


def look_at(folder: Path, data: DataSection) -> Look:
    """The look, written by this very process."""
    place = folder / "look"
    place.mkdir()
    request = look_request(data, "assistant", tokenizer_folder(folder))
    (place / REQUEST_NAME).write_text(request.model_dump_json(), encoding="utf-8")
    answer_request(place)
    return Look(place)


def fit_to(look: Look, max_length: int, over_length: OverLength) -> Fit:
    """What a max length makes of it."""
    request = FitRequest(max_length=max_length, over_length=over_length)
    place = look.folder / fit_name(request)
    place.mkdir()
    (place / REQUEST_NAME).write_text(request.model_dump_json(), encoding="utf-8")
    answer_request(place)
    return Fit(place, max_length, look.num_rows)


def audit(folder: Path, data: DataSection, max_length: int | None) -> tuple[list[AuditedRow], LabelReport]:
    """The same rows by the audit that `tuner labels` makes."""
    with audit_rows(data, folder / "model", "assistant", max_length, lambda _done, _total: None) as run:
        return list(run.rows()), run.report


def request_of(folder: Path) -> LookRequest:
    return look_request(data_of(folder), "assistant", tokenizer_folder(folder))


def _turns(number: int, count: int) -> list[dict[str, str]]:
    turns = []
    for turn in range(count):
        turns.append({"role": "user", "content": f"Row {number}, question {turn}?"})
        turns.append({"role": "assistant", "content": f"The answer to question {turn} is {number * turn}."})
    return turns
