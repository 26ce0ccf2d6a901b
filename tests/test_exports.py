"""What an export says about itself survives a line of JSON, and adds up."""

import pytest
from pydantic import ValidationError

from tui_tuner.exports import (
    EXPORT_FORMS,
    ExportFailed,
    ExportFinished,
    ExportKind,
    ExportPlanned,
    ExportProgress,
    ExportProof,
    ExportRequest,
    ExportStage,
    ExportState,
    PlannedFile,
    ProofCheck,
    export_event_from_json,
    export_form,
)

PLANNED = ExportPlanned(
    export=ExportKind.GGUF, folder="out", files=(PlannedFile(name="a.gguf", num_bytes=3),), bytes_needed=3, bytes_free=9
)
PROOF = ExportProof(
    export=ExportKind.GGUF,
    passed=False,
    checks=(ProofCheck(claim="equal", passed=False, found="no", value=float("inf")),),
    message="no",
)
FINISHED = ExportFinished(export=ExportKind.GGUF, folder="out", files=(), seconds=1.0)


@pytest.mark.parametrize("event", [PLANNED, PROOF, FINISHED])
def test_event_survives_a_line_of_json(event: ExportPlanned | ExportProof | ExportFinished) -> None:
    assert export_event_from_json(event.model_dump_json()) == event


def test_state_holds_the_last_of_each() -> None:
    progress = ExportProgress(export=ExportKind.GGUF, stage=ExportStage.WRITING, done=1, total=2)
    failed = ExportFailed(export=ExportKind.GGUF, error="MachineError", message="full")
    state = ExportState().after(PLANNED).after(progress).after(PROOF).after(FINISHED).after(failed)
    assert state == ExportState(planned=PLANNED, progress=progress, proof=PROOF, finished=FINISHED, failed=failed)


def test_new_plan_begins_anew() -> None:
    assert ExportState().after(FINISHED).after(PLANNED) == ExportState(planned=PLANNED)


def test_every_kind_is_put_in_words() -> None:
    assert [form.kind for form in EXPORT_FORMS] == list(ExportKind)
    assert export_form(ExportKind.LORA_GGUF).title == "GGUF adapter"


def test_unknown_wish_is_refused() -> None:
    with pytest.raises(ValidationError):
        ExportRequest.model_validate({"source": "last", "kinds": ["onnx"]})
