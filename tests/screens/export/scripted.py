"""An export's events without an export."""

from pathlib import Path

from tui_tuner.exports import (
    ExportEvent,
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
    ServeCommand,
    WrittenFile,
)

MERGED = ExportKind.MERGED
PLANNED = ExportPlanned(
    export=MERGED,
    folder="/runs/support-v4/exports/merged",
    files=(PlannedFile(name="model-00001.safetensors", num_bytes=16_400_000_000, about="291 tensors"),),
    bytes_needed=16_400_000_000,
    bytes_free=412_000_000_000,
    base_model="Qwen/Qwen3-8B",
)
WRITING = ExportProgress(export=MERGED, stage=ExportStage.WRITING, done=40, total=100, unit="tensors")
PROOF = ExportProof(
    export=MERGED,
    passed=True,
    checks=(ProofCheck(claim="the merged model answers as the adapter does", passed=True, found="KL 1.2e-06"),),
    message="answers as the live adapter",
)
FINISHED = ExportFinished(
    export=MERGED,
    folder=PLANNED.folder,
    files=(WrittenFile(name="model-00001.safetensors", num_bytes=16_400_000_000, sha256="0"),),
    commands=(ServeCommand(program="vLLM", command="vllm serve /runs/support-v4/exports/merged"),),
    seconds=41,
)
FAILED = ExportFailed(export=MERGED, error="MachineError", message="The disk is full.", hint="Free some space.")


def state_after(*events: ExportEvent) -> ExportState:
    state = ExportState()
    for event in events:
        state = state.after(event)
    return state


def write_job(folder: Path, source: Path, *events: ExportEvent) -> None:
    """What an export that is over leaves in its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    request = ExportRequest(source=str(source), kinds=(MERGED,))
    (folder / "request.json").write_text(request.model_dump_json())
    (folder / "events.jsonl").write_text("".join(event.model_dump_json() + "\n" for event in events))
