"""One case made ready: its model, rows and adapters on disk, and the jobs that systems get of it."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from tui_tuner.engine.bench.peers.case_plan import GIB, plan_of_job
from tui_tuner.engine.bench.peers.cases import Case
from tui_tuner.engine.bench.peers.children import Children
from tui_tuner.engine.bench.peers.made_rows import write_adapter, write_rows
from tui_tuner.engine.bench.peers.outside.peer_runner.job import Job, Recompute, Way
from tui_tuner.engine.bench.peers.request import NAMES, ComparisonRequest
from tui_tuner.hardware import probe_hardware
from tui_tuner.plan import ModelFacts

CHECK_ROWS = 8
"""Rows of real lengths whose loss and gradients are compared."""
WAYS: dict[str, tuple[Way, ...]] = {
    "tuner": ("packed",),
    "hf": ("in order", "grouped", "packed"),
    "liger": ("in order", "grouped", "packed"),
    "unsloth": ("in order", "grouped", "trainer's default", "trainer's packing"),
}
"""How each system takes rows of real lengths; the fastest way counts."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One system in one of its ways."""

    system: str
    way: Way
    recompute: Recompute
    label: str
    """As a person reads it; no two of a case have the same."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A case with its files."""

    case: Case
    job: Job
    """Ours; others differ by what `job_of` says."""
    model: ModelFacts
    mean_length: int
    trained_share: float

    def job_of(self, variant: Variant) -> Job:
        """What a system is asked for; loss and gradients of the check come first."""
        case, is_ours = self.case, variant.system == "tuner"
        shares_rows = variant.way in ("packed", "trainer's packing") or case.kind != "real lengths"
        return replace(
            self.job,
            system=variant.system,
            way=variant.way,
            base=case.base if is_ours else case.peers_base,
            recompute=variant.recompute,
            rows_per_batch=case.rows if shares_rows else case.ragged_rows,
            memory_limit=case.ours_gib * GIB if is_ours else 0,
        )

    def reference_job(self, *, is_exact: bool) -> Job:
        """The check alone, by Hugging Face's model with PEFT, recomputing: it changes nothing but the memory."""
        return replace(self.job_of(Variant("hf", "in order", "on", "")), steps=0, in_float32=is_exact)

    def variants(self, system: str) -> tuple[Variant, ...]:
        """Where the case recomputes, ours come with inputs on the device and in host memory; of real lengths, which are
        about speed at the peer's memory or less, with nothing recomputed as well.
        """
        case = self.case
        ways: tuple[Way, ...] = WAYS[system] if case.kind == "real lengths" else ("in order",)
        settings: tuple[Recompute, ...] = (case.peers_recompute,)
        if system == "tuner":
            settings = ("on", "offload") if case.recompute == "on" else (case.recompute,)
            if case.kind == "real lengths" and case.recompute == "on":
                settings = (*settings, "off")
        return tuple(
            Variant(system, way, setting, self._label(system, way, setting)) for way in ways for setting in settings
        )

    def _label(self, system: str, way: Way, recompute: Recompute) -> str:
        parts = [NAMES[system]]
        if self.case.kind == "real lengths":
            parts.append("padded" if way == "in order" else way)
        if recompute == "offload":
            parts.append("offload")
        if recompute == "off" and self.case.recompute == "on":
            parts.append("nothing recomputed")
        return ", ".join(parts)


def make_ready(case: Case, request: ComparisonRequest, children: Children) -> Setting:
    """Write what is missing of model, rows and adapters.

    Raises:
        TunerError: the model or the lengths cannot be used.
    """
    device: Literal["cpu", "cuda"] = "cuda" if probe_hardware().gpus else "cpu"
    model = request.model or _random_model(case, request.folder, children)
    folder = request.folder / case.name
    folder.mkdir(parents=True, exist_ok=True)
    job = Job(
        system="tuner",
        model=model,
        base=case.base,
        recompute=case.recompute,
        device=device,
        rows=str(folder / "rows.npz"),
        adapter=str(folder / "adapter.safetensors"),
        result="",
        way="packed" if case.kind == "real lengths" else "in order",
        rows_per_batch=case.rows,
        accumulation=case.accumulation,
        max_length=case.length,
        check_rows=CHECK_ROWS if case.kind == "real lengths" else case.rows,
        warm_up=request.warm_up,
        steps=request.steps,
    )
    # The vocabulary is in the plan, and the plan wants lengths: the first rows only stand for those.
    write_rows(Path(job.rows), replace(case, kind="step"), 256)
    plan = plan_of_job(job)
    write_rows(Path(job.rows), case, plan.model.vocab_size, request.lengths)
    write_adapter(Path(job.adapter), plan.adapter)
    with np.load(job.rows) as arrays:
        mean, share = round(float(arrays["lengths"].mean())), float(arrays["trained"].mean())
    return Setting(case, job, plan.model, mean, share)


def identity_of(job: Job) -> str:
    """Of all that its check depends on."""
    digest = hashlib.sha256(Path(job.rows).read_bytes() + Path(job.adapter).read_bytes())
    digest.update(repr((job.model, job.base, job.check_rows, job.rank, job.alpha, job.device, job.in_float32)).encode())
    config = Path(job.model) / "config.json"
    if config.exists():
        digest.update(f"{config.stat().st_mtime_ns}".encode())
    return digest.hexdigest()[:16]


def _random_model(case: Case, folder: Path, children: Children) -> str:
    """In a process of its own, whose memory of the device is gone afterwards."""
    is_float32 = case.base == "f32"
    place = folder / f"model-{case.shape}-{'float32' if is_float32 else 'bfloat16'}-proportioned"
    if not (place / "tokenizer.json").exists():
        question = {"folder": str(place), "shape": case.shape, "is_float32": is_float32}
        children.ask("model", question, f"model-{case.shape}")
    return str(place)
