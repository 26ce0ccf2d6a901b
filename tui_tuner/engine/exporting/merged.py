"""The merged model: the base's tensors with the adapter added in, streamed to a new folder, read back, compared."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

import torch

from tui_tuner.engine.exporting.measuring import Answers, LiveAnswers, ask, compute_type, export_device
from tui_tuner.engine.exporting.model_weights import MergeTally, ModelWeights, model_weights
from tui_tuner.engine.exporting.proof_rows import ProofRows
from tui_tuner.engine.exporting.side_files import (
    copy_small_files,
    write_card,
    write_config,
    write_generation_config,
    write_index,
)
from tui_tuner.engine.exporting.source import ExportSource
from tui_tuner.engine.exporting.target_folder import new_folder, write_ledger
from tui_tuner.engine.exporting.tensor_files import write_tensors
from tui_tuner.engine.loading import load_module
from tui_tuner.engine.proof import TOLERANCES
from tui_tuner.errors import AdapterError, TrainingError
from tui_tuner.exports import (
    BaseMeasured,
    ExportEvent,
    ExportFinished,
    ExportKind,
    ExportProgress,
    ExportProof,
    ExportStage,
    ExportWarning,
    MergeBase,
    ProofCheck,
    ServeCommand,
)
from tui_tuner.planning.weights import read_weights
from tui_tuner.units import percent

KL_LIMITS = {torch.float32: 1e-5, torch.bfloat16: 5e-2, torch.float16: 5e-2}
"""Nats between live adapter and merged model. In bfloat16 merging rounds each weight once more."""
SAME_CHOICE_SHARE = 0.97
"""Of positions at which the first choice must be the same, or a near-tie of it."""
LITTLE_KEPT = 0.5
"""Below this share of the change that the type can hold, a warning is due."""


@dataclass(frozen=True, slots=True)
class MergeChoice:
    """Which base the adapter is merged into, and what was measured for it."""

    base: MergeBase
    measured: tuple[BaseMeasured, ...]
    reason: str


def check_base(source: ExportSource, asked: MergeBase) -> None:
    """Raise AdapterError where what is asked for does not exist here."""
    if asked == "dequantised" and not source.was_quantised:
        raise AdapterError(
            "--base dequantised: the adapter was not trained on a 4-bit base, nor on one in fp8.", "Use --base 16bit."
        )
    if asked == "16bit" and source.base.facts.stored_quantization is not None:
        raise AdapterError(
            f"--base 16bit: {source.base_name} is stored in four bits.",
            "Name the 16-bit model with --base-model, or use --base dequantised.",
        )


def choose_base(asked: MergeBase, live: LiveAnswers) -> MergeChoice:
    """The base with the lower loss on the proof rows, or the one that is asked for."""
    best = min(live.tuned, key=lambda base: live.tuned[base].loss)
    chosen = best if asked == "auto" else asked
    measured = tuple(
        BaseMeasured(base=base, loss=answers.loss, is_chosen=base == chosen) for base, answers in live.tuned.items()
    )
    if asked != "auto":
        return MergeChoice(chosen, measured, "as asked")
    return MergeChoice(chosen, measured, "lower loss" if len(measured) > 1 else "the only base that there is")


def chosen_weights(source: ExportSource, base: MergeBase, device: str) -> ModelWeights:
    """The tensors of the merged model, not yet read."""
    return model_weights(
        source.base,
        source.base_folder,
        source.weights,
        base,
        compute_type(source),
        export_device(device),
        source.held_in or "nf4",
    )


def write_merged(
    source: ExportSource, weights: ModelWeights, choice: MergeChoice, folder: Path, tally: MergeTally
) -> Iterator[ExportEvent]:
    """Stream the merged model into a folder that is being built.

    Raises:
        AdapterError: the merged model equals the base.
        OSError: the disk is full or cannot be written.
    """
    done = 0
    for file, entries in weights.files:
        yield _progress(ExportStage.MERGING, done, len(weights.entries), file)
        write_tensors(folder / file, entries, lambda name: weights.read(name, tally))
        done += len(entries)
    yield _progress(ExportStage.MERGING, done, len(weights.entries), "")
    refuse_equal_to_base(tally)
    if tally.kept_share < LITTLE_KEPT:
        yield ExportWarning(
            export=ExportKind.MERGED,
            message=f"Rounding leaves {percent(tally.kept_share)} of the adapter's change in the merged weights.",
            hint="The change is small beside the weights; serving the adapter itself keeps all of it.",
        )
    copy_small_files(source, folder)
    write_config(source, weights, folder)
    write_generation_config(source, folder)
    write_index(weights, folder)
    write_card(source, folder, "transformers", "merged", _facts(source, choice, tally))


def refuse_equal_to_base(tally: MergeTally) -> None:
    """Raise AdapterError where merging has changed no tensor at all."""
    if tally.num_changed == 0:
        raise AdapterError(
            f"The merged model would equal its base: none of {len(tally.unchanged)} adapted tensors changes.",
            "The adapter was not trained, or its change is too small for the type of the weights.",
        )


def prove_merged(
    folder: Path, live: LiveAnswers, choice: MergeChoice, rows: ProofRows, tally: MergeTally, weights: ModelWeights
) -> ExportProof:
    """Read the merged files back through transformers and compare them with the live adapter and with the base.

    The reference is the adapter on the base that was chosen, so that the files are judged and not the choice.
    """
    device, compute_dtype = weights.device, weights.compute_dtype
    module = load_module(folder, device, compute_dtype, nf4_compute=None, remote_code=False)
    merged = ask(module, rows.examples, device)
    limit = max(KL_LIMITS[compute_dtype], KL_LIMITS[_stored_type(folder)])
    margin = TOLERANCES[torch.bfloat16 if limit > KL_LIMITS[torch.float32] else torch.float32]
    checks = (
        _like_live(merged, live.tuned[choice.base], limit),
        _same_choice(merged, live.tuned[choice.base], margin),
        _unlike_base(merged, live.base),
        ProofCheck(
            claim="every adapted tensor changed",
            passed=not tally.unchanged,
            found=f"{tally.num_changed} of {tally.num_changed + len(tally.unchanged)}"
            + (f", not {tally.unchanged[0]}" if tally.unchanged else "")
            + f"; {percent(tally.kept_share)} of the change is left after rounding",
            value=tally.kept_share,
        ),
    )
    failed = [check for check in checks[:3] if not check.passed]
    return ExportProof(
        export=ExportKind.MERGED,
        passed=not failed,
        checks=checks,
        measured=choice.measured,
        loss_live=live.live.loss,
        message=(
            f"{failed[0].claim}: {failed[0].found}" if failed
            else f"answers as the live adapter on {rows.what} ({checks[0].found})"
        ),
    )  # fmt: skip


def export_merged(
    source: ExportSource, weights: ModelWeights, choice: MergeChoice, live: LiveAnswers, rows: ProofRows, folder: Path
) -> Iterator[ExportEvent]:
    """Write, prove, and only then publish.

    Raises:
        AdapterError: the merged model equals the base.
        TrainingError: the proof failed; nothing is left under the name.
        MachineError: the disk is full or may not be written.
    """
    began, tally = time.perf_counter(), MergeTally()
    with new_folder(folder) as building:
        yield from write_merged(source, weights, choice, building, tally)
        yield _progress(ExportStage.PROVING, 0, None, rows.what)
        proof = prove_merged(building, live, choice, rows, tally, weights)
        yield proof
        if not proof.passed:
            raise TrainingError(f"The merged model failed its proof: {proof.message}.", "Please report this.")
        files = write_ledger(building, ExportKind.MERGED, _ledger(source, choice, proof))
    yield ExportFinished(
        export=ExportKind.MERGED,
        folder=str(folder),
        files=files,
        commands=merged_commands(folder, source.name),
        seconds=time.perf_counter() - began,
    )


def merged_commands(folder: Path, name: str) -> tuple[ServeCommand, ...]:
    """How this very folder is served."""
    return (
        ServeCommand(program="tuner", command=f"tuner chat {quote(str(folder))}"),
        ServeCommand(program="vLLM", command=f"vllm serve {quote(str(folder))} --served-model-name {quote(name)}"),
    )


def _like_live(merged: Answers, live: Answers, limit: float) -> ProofCheck:
    kl = merged.kl_from(live)
    return ProofCheck(
        claim="the merged model answers as the live adapter does",
        passed=kl <= limit,
        found=f"KL {kl:.1e}",
        value=kl,
        limit=limit,
    )


def _same_choice(merged: Answers, live: Answers, margin: float) -> ProofCheck:
    same, positions = merged.same_first_choice(live), len(live.labels_N)
    kept = positions - merged.worse_first_choice(live, margin)
    ties = f", at {kept} within {margin:g} nats" if kept > same else ""
    return ProofCheck(
        claim="the first choice is the same",
        passed=kept >= SAME_CHOICE_SHARE * positions,
        found=f"at {same} of {positions} tokens{ties}",
        value=kept / positions,
        limit=SAME_CHOICE_SHARE,
    )


def _unlike_base(merged: Answers, base: Answers) -> ProofCheck:
    kl = merged.kl_from(base)
    return ProofCheck(claim="it is not the base", passed=kl > 0, found=f"KL to the base {kl:.1e}", value=kl, limit=0.0)


def _stored_type(folder: Path) -> torch.dtype:
    stored = read_weights(folder).dtype
    return {"float32": torch.float32, "float16": torch.float16}.get(stored or "", torch.bfloat16)


def _facts(source: ExportSource, choice: MergeChoice, tally: MergeTally) -> list[tuple[str, str]]:
    losses = ", ".join(f"{one.base} {one.loss:.4f}" for one in choice.measured)
    return [
        ("Merged into", f"the {choice.base} base ({choice.reason})"),
        ("Base model", f"`{source.base_name}`"),
        ("Base fingerprint", f"`{source.base_fingerprint[:16]}`"),
        ("Loss of the adapter on each base", losses),
        ("Changed tensors", f"{tally.num_changed} ({percent(tally.kept_share)} of the change left after rounding)"),
    ]


def _ledger(source: ExportSource, choice: MergeChoice, proof: ExportProof) -> dict[str, object]:
    return {
        "source": source.name,
        "base": {"name": source.base_name, "fingerprint": source.base_fingerprint, "merged_into": choice.base},
        "measured": [one.model_dump() for one in choice.measured],
        "proof": [check.model_dump() for check in proof.checks],
    }


def _progress(stage: ExportStage, done: int, total: int | None, detail: str) -> ExportProgress:
    unit = "tensors" if stage == ExportStage.MERGING else ""
    return ExportProgress(export=ExportKind.MERGED, stage=stage, done=done, total=total, unit=unit, detail=detail)
