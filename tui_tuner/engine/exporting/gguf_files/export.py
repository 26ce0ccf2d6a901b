"""A GGUF file of the merged model, or of a whole one: written, read back, compared, and only then published."""

import shutil
import subprocess
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from shlex import quote

from tui_tuner.engine.exporting.gguf_files.checking import GgufCheck, check_gguf
from tui_tuner.engine.exporting.gguf_files.writing import GgufLayout, write_gguf
from tui_tuner.engine.exporting.merged import refuse_equal_to_base
from tui_tuner.engine.exporting.model_weights import MergeTally, ModelWeights
from tui_tuner.engine.exporting.side_files import write_gguf_card
from tui_tuner.engine.exporting.source import ExportSource
from tui_tuner.engine.exporting.target_folder import new_folder, write_ledger
from tui_tuner.errors import MachineError, TrainingError
from tui_tuner.exports import (
    LLAMA_CPP_GGUF_TYPES,
    ExportEvent,
    ExportFinished,
    ExportKind,
    ExportProgress,
    ExportProof,
    ExportStage,
    ProofCheck,
    ServeCommand,
)

QUANTIZER = "llama-quantize"
WHOLE_TYPE = "bf16"
"""What a file is written in that llama-quantize then shrinks."""


def written_type(quantization: str) -> str:
    """The type that tuner writes on the way to the one that is asked for."""
    return WHOLE_TYPE if quantization in LLAMA_CPP_GGUF_TYPES else quantization


def check_quantizer(quantization: str, name: str) -> None:
    """Raise MachineError, with the command, where the type needs llama.cpp and it is not on PATH."""
    if quantization in LLAMA_CPP_GGUF_TYPES and shutil.which(QUANTIZER) is None:
        command = quantize_command(f"{name}-{WHOLE_TYPE}.gguf", f"{name}-{quantization}.gguf", quantization)
        raise MachineError(
            f"{quantization} is made by llama.cpp's {QUANTIZER}, which is not on PATH.",
            f"Install llama.cpp; or export with --quantization {WHOLE_TYPE}, and where it is run: {' '.join(command)}",
        )


def quantize_command(whole: str, small: str, quantization: str) -> list[str]:
    return [QUANTIZER, whole, small, quantization.upper()]


def export_gguf(
    source: ExportSource,
    gguf: tuple[GgufLayout, ModelWeights, str],
    folder: Path,
    facts: dict[str, object],
) -> Iterator[ExportEvent]:
    """Write, check and publish.

    Raises:
        AdapterError: merging would change nothing.
        TrainingError: what was read back is not what was written.
        MachineError: the disk is full or may not be written, or llama-quantize fails.
    """
    began = time.perf_counter()
    with new_folder(folder) as building:
        layout, weights, quantization = gguf
        name = yield from write_checked(building, layout, weights, quantization, ExportKind.GGUF)
        write_gguf_card(source, building, quantization)
        files = write_ledger(building, ExportKind.GGUF, facts)
    yield ExportFinished(
        export=ExportKind.GGUF,
        folder=str(folder),
        files=files,
        commands=gguf_commands(folder / name),
        seconds=time.perf_counter() - began,
    )


def write_checked(
    building: Path, layout: GgufLayout, weights: ModelWeights, quantization: str, kind: ExportKind
) -> Generator[ExportEvent, None, str]:
    """Fill a folder with one file; returns its name."""
    whole = building / f"{layout.file_stem}-{layout.kind}.gguf"
    tally = MergeTally()
    total = len(layout.tensors)
    for done in write_gguf(whole, layout, weights, tally):
        yield _progress(kind, ExportStage.WRITING, done, total, whole.name)
    if weights.adapter is not None:
        refuse_equal_to_base(tally)
    check = GgufCheck()
    for place in check_gguf(whole, layout, weights, check):
        yield _progress(kind, ExportStage.PROVING, min(place, total), total, "reading back")
    yield _proof(kind, check, layout)
    if check.wrong:
        raise TrainingError(f"{whole.name} is not what was written, first {check.wrong[0]}.", "Please report this.")
    if quantization == layout.kind:
        return whole.name
    small = building / f"{layout.file_stem}-{quantization}.gguf"
    yield _progress(
        kind, ExportStage.QUANTIZING, 0, None, " ".join(quantize_command(whole.name, small.name, quantization))
    )
    _quantize(whole, small, quantization)
    whole.unlink()
    return small.name


def gguf_commands(path: Path) -> tuple[ServeCommand, ...]:
    """How this very file is served."""
    return (
        ServeCommand(program="llama.cpp", command=f"llama-server -m {quote(str(path))} --jinja"),
        ServeCommand(program="llama.cpp", command=f"llama-cli -m {quote(str(path))} --jinja"),
    )


def _proof(kind: ExportKind, check: GgufCheck, layout: GgufLayout) -> ExportProof:
    found = f"{check.num_tensors} tensors, largest error {check.largest_error:.1e} of a tensor's largest number"
    if check.wrong:
        found = f"{len(check.wrong)} of {len(layout.tensors)} are not, first {check.wrong[0]}"
    claim = ProofCheck(
        claim=f"every tensor, read back from {layout.kind}, is the merged one",
        passed=not check.wrong,
        found=found,
        value=check.largest_error,
    )
    return ExportProof(export=kind, passed=not check.wrong, checks=(claim,), message=found)


def _quantize(whole: Path, small: Path, quantization: str) -> None:
    command = quantize_command(str(whole), str(small), quantization)
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode != 0 or not small.is_file():
        last = (done.stderr or done.stdout).strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise MachineError(f"{QUANTIZER} failed: {last[0]}.", f"Export with --quantization {WHOLE_TYPE} instead.")


def _progress(kind: ExportKind, stage: ExportStage, done: int, total: int | None, detail: str) -> ExportProgress:
    return ExportProgress(
        export=kind, stage=stage, done=done, total=total, unit="tensors" if total else "", detail=detail
    )
