"""Our steps beside the peers', case by case: a check against the reference first, then systems in turns."""

import time
from collections.abc import Generator, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tui_tuner.engine.bench.limit import Work
from tui_tuner.engine.bench.peers.cases import Case
from tui_tuner.engine.bench.peers.children import Children
from tui_tuner.engine.bench.peers.judging import Reference
from tui_tuner.engine.bench.peers.longest import longest_contexts
from tui_tuner.engine.bench.peers.outside.peer_runner.job import read_answer
from tui_tuner.engine.bench.peers.request import ComparisonRequest
from tui_tuner.engine.bench.peers.setting import Setting, identity_of, make_ready
from tui_tuner.engine.bench.peers.table import CaseTable, SystemRow
from tui_tuner.engine.bench.peers.turns import Turns, rows_of
from tui_tuner.engine.bench.shape_names import check_shapes
from tui_tuner.errors import MachineError
from tui_tuner.hardware import probe_hardware

RECOMPUTE_WORDS = {"on": "recompute on", "off": "recompute off", "auto": "each by its default"}


def compare(request: ComparisonRequest) -> Iterator[str | CaseTable]:
    """Yields a line about what is done now, and a table for each case.

    Raises:
        TunerError: a case needs a GPU or cannot be prepared, or the reference fails; a peer that fails is a row that
            says so.
    """
    if request.model is None:
        check_shapes([case.shape for case in request.cases])
    children = Children(request.folder, request.pythons)
    for case in request.cases:
        yield f"{case.name}: model and rows"
        setting = make_ready(case, request, children)
        if case.kind == "longest context":
            rows = yield from longest_contexts(setting, request, children)
            yield _table(setting, rows, None, _Limit())
        else:
            yield (yield from _compared(setting, request, children))


@dataclass(frozen=True)
class _Limit:
    tokens_per_second: float | None = None
    teraflops: float | None = None


def _compared(setting: Setting, request: ComparisonRequest, children: Children) -> Generator[str, None, CaseTable]:
    case = setting.case
    yield f"{case.name}: the reference, HF + PEFT"
    reference = _reference(setting, request, children)
    yield f"{case.name}: the machine's limit"
    limit = _limit(setting, children)
    systems = ("tuner", *request.peers)
    turns = [Turns(variant) for system in systems for variant in setting.variants(system)]
    for number in range(request.rounds):
        for turn in turns:
            if not turn.is_over:
                yield f"{case.name}: {turn.variant.label}, round {number + 1} of {request.rounds}"
                turn.take(setting, reference, children)
    table = _table(setting, rows_of(turns, limit.tokens_per_second), reference.loss, limit)
    return table.model_copy(update={"has_exact_reference": request.has_exact_reference})


def _reference(setting: Setting, request: ComparisonRequest, children: Children) -> Reference:
    """One that was computed for the same files before is used again."""
    job = setting.reference_job(is_exact=request.has_exact_reference)
    name = f"reference-{identity_of(job)}"
    gradients, kept = children.folder / f"{name}.safetensors", children.folder / f"{name}.answer.json"
    answer = read_answer(kept) if kept.exists() and gradients.exists() else None
    if answer is None or answer.check_loss is None:
        answer = children.measure(replace(job, gradients=str(gradients)), name)
    if answer.check_loss is None:
        raise MachineError(
            f"The reference, HF + PEFT, does not run: {answer.reason}.",
            f"Its output is in {children.folder / name}.log.",
        )
    return Reference(answer.check_loss, gradients)


def _limit(setting: Setting, children: Children) -> _Limit:
    case = setting.case
    documents = max(1, case.rows * case.length // setting.mean_length)
    work = Work(
        documents=documents,
        length=setting.mean_length,
        trained_share=setting.trained_share,
        has_fp8_base=case.base == "fp8",
    )
    job = replace(setting.job, base=case.peers_base)
    answer = children.ask("limit", {"job": asdict(job), "work": asdict(work)}, f"{case.name}/limit")
    speed, teraflops = answer["tokens_per_second"], answer["teraflops"]
    if not isinstance(speed, float) or not isinstance(teraflops, float):
        return _Limit()
    return _Limit(speed, teraflops)


def _table(
    setting: Setting, rows: tuple[SystemRow, ...], reference_loss: float | None, limit: _Limit
) -> CaseTable:  # fmt: skip
    gpus = probe_hardware().gpus
    return CaseTable(
        case=setting.case.name,
        words=case_in_words(setting),
        device_name=gpus[0].name if gpus else "CPU",
        moment=time.strftime("%Y-%m-%d %H:%M"),
        reference_loss=reference_loss,
        limit_tokens_per_second=limit.tokens_per_second,
        limit_teraflops=limit.teraflops,
        rows=rows,
    )


def case_in_words(setting: Setting) -> str:
    """The setting of a case, as a sentence without its stop."""
    case: Case = setting.case
    model = f"random weights of shape {case.shape}" if "model-" in Path(setting.job.model).name else setting.job.model
    parts = [model, f"{case.base} base", f"LoRA rank {setting.job.rank} on all linear modules"]
    if case.kind == "longest context":
        return ", ".join([*parts, f"longest sequence in {case.memory_gib} GiB"])
    if case.kind == "real lengths":
        parts.append(
            f"rows of {setting.mean_length} tokens in the mean, {setting.trained_share:.0%} trained: "
            f"packs of {case.rows} x {case.length}, or {case.ragged_rows} rows a step"
        )
    else:
        micro = f"{case.accumulation} x " if case.accumulation > 1 else ""
        parts.append(f"{micro}{case.rows} x {case.length} tokens a step")
    budget = f", ours within {case.ours_gib} GiB" if case.ours_gib else ""
    return ", ".join([*parts, RECOMPUTE_WORDS[case.recompute]]) + budget
