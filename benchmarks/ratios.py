"""Ratios that a change must not worsen: our step beside a plain HF + PEFT step, and beside the machine's own products.

Both sides run in one process, in turns, on one GPU: ratios hold where seconds do not.

    python3 -m benchmarks.ratios            prints what is measured now, beside what is stored
    python3 -m benchmarks.ratios --write    stores it for this kind of GPU in benchmarks/ratios.json
"""

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from tui_tuner.engine.bench.limit import Work, measure_limit
from tui_tuner.engine.bench.named_models import write_random_model
from tui_tuner.engine.bench.peers.case_plan import plan_of_job
from tui_tuner.engine.bench.peers.cases import RECOMPUTE, Case
from tui_tuner.engine.bench.peers.made_rows import write_adapter, write_rows
from tui_tuner.engine.bench.peers.outside.peer_runner.adapters import fill, trained_parameters
from tui_tuner.engine.bench.peers.outside.peer_runner.device import now
from tui_tuner.engine.bench.peers.outside.peer_runner.job import Base, Job
from tui_tuner.engine.bench.peers.outside.peer_runner.rows import batches, read_rows
from tui_tuner.engine.bench.peers.outside.peer_runner.systems import load_hf
from tui_tuner.engine.bench.peers.outside.peer_runner.timing import adamw, bare_step
from tui_tuner.engine.bench.peers.own import build_own, own_rows, own_steps_of

STORED = Path(__file__).parent / "ratios.json"
TURNS, STEPS, WARM_UP = 4, 6, 6
BASES: tuple[Base, ...] = ("bf16", "nf4")
CASES = tuple(
    Case(name=f"small-{base}-{word}", shape="small", base=base, recompute=recompute, rows=4)
    for base in BASES
    for word, recompute in RECOMPUTE
)
TINY = Case(name="tiny", shape="tiny", base="f32", length=64)
"""For a processor, where nothing is stored."""


@dataclass(frozen=True, slots=True)
class Ratios:
    """More is better."""

    against_hf: float
    """Seconds of a step of HF + PEFT over those of ours."""
    share_of_limit: float
    """Seconds of the base's products and attention alone over those of our step."""


def measure(case: Case, folder: Path) -> Ratios:
    """Our step and Hugging Face's on the same rows, in turns."""
    job = _job(case, folder)
    ours, theirs = _own_step(job), _hf_step(job)
    for step in (ours, theirs):
        for _ in range(WARM_UP):
            step()
    seconds: dict[str, list[float]] = {"ours": [], "theirs": [], "limit": []}
    for _ in range(TURNS):
        seconds["ours"] += [_seconds(ours, job) for _ in range(STEPS)]
        seconds["theirs"] += [_seconds(theirs, job) for _ in range(STEPS)]
        seconds["limit"].append(_limit_seconds(case, job))
    own = statistics.median(seconds["ours"])
    return Ratios(
        round(statistics.median(seconds["theirs"]) / own, 3), round(statistics.median(seconds["limit"]) / own, 3)
    )


def read_ratios(device_name: str) -> dict[str, Ratios]:
    """What is stored for a kind of GPU; nothing where it was never measured."""
    stored = json.loads(STORED.read_text(encoding="utf-8"))
    return {name: Ratios(**values) for name, values in stored.get(device_name, {}).items()}


def _job(case: Case, folder: Path) -> Job:
    dtype = torch.float32 if case.base == "f32" else torch.bfloat16
    job = Job(
        system="tuner",
        model=str(write_random_model(folder / case.shape, case.shape, dtype)),
        base=case.base,
        recompute=case.recompute,
        device="cuda" if torch.cuda.is_available() else "cpu",
        rows=str(folder / f"{case.name}.npz"),
        adapter=str(folder / f"{case.name}.safetensors"),
        result="",
        rows_per_batch=case.rows,
        max_length=case.length,
    )
    write_rows(Path(job.rows), case, 256)
    write_adapter(Path(job.adapter), plan_of_job(job).adapter)
    return job


def _own_step(job: Job) -> Callable[[], object]:
    own = build_own(job)
    source = own_steps_of(own_rows(Path(job.rows)), job, own.plan)
    return lambda: own.step(next(source))


def _hf_step(job: Job) -> Callable[[], object]:
    model: Any = load_hf(job)
    parameters = trained_parameters(model)
    fill(parameters, Path(job.adapter))
    optimizer, source = adamw(parameters), batches(read_rows(Path(job.rows)), job)
    return lambda: bare_step(model, optimizer, [next(source)])


def _seconds(step: Callable[[], object], job: Job) -> float:
    began = now(job.device)
    step()
    return now(job.device) - began


def _limit_seconds(case: Case, job: Job) -> float:
    dtype = torch.float32 if case.base == "f32" else torch.bfloat16
    work = Work(documents=case.rows, length=case.length, trained_share=1.0)
    limit = measure_limit(plan_of_job(job).model, work, torch.device(job.device), dtype)
    assert limit is not None, "the named shapes are Llama's"
    return limit.seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="store what is measured")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        parser.error("needs a CUDA GPU; none is visible")
    device_name = torch.cuda.get_device_name()
    before, found = read_ratios(device_name), {}
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            found[case.name] = measure(case, Path(folder))
            print(f"{case.name}: {found[case.name]}, stored {before.get(case.name)}", flush=True)
    if options.write:
        stored = json.loads(STORED.read_text(encoding="utf-8"))
        stored[device_name] = {name: asdict(ratios) for name, ratios in found.items()}
        STORED.write_text(json.dumps(stored, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
