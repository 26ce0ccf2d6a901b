"""The plan of a job: that of a recipe with the same model, precision, recomputing, adapters and batch."""

import json
import tempfile
from pathlib import Path

import numpy as np

from tui_tuner.engine.bench.peers.outside.peer_runner.job import Job
from tui_tuner.hardware import probe_hardware
from tui_tuner.plan import RunPlan
from tui_tuner.planning.run_plan import make_plan, refine_plan
from tui_tuner.recipe import Recipe, parse_recipe

GIB = 2**30
USUAL_ROWS = 10_000
QUANTIZATIONS = {"bf16": "none", "f32": "none", "nf4": "nf4", "fp8": "fp8"}
RECOMPUTE = {"off": "off", "on": "layers", "offload": "offload", "auto": "auto"}


def plan_of_job(job: Job) -> RunPlan:
    """With the lengths of the job's rows, so that an "auto" is settled as for real data.

    Raises:
        TunerError: the setting cannot be planned on this machine.
    """
    with tempfile.TemporaryDirectory(prefix="tuner-bench-") as folder:
        plan = make_plan(recipe_of_job(job, Path(folder)), probe_hardware())
    with np.load(job.rows) as arrays:
        lengths = np.minimum(arrays["lengths"], job.max_length)
    if job.recompute == "auto":
        # An "auto" of the batch asks how much data there is; of a few rows it would make small steps.
        lengths = np.resize(lengths, USUAL_ROWS)
    is_packed = job.way == "packed"
    data = plan.data.model_copy(
        update={
            "num_rows": len(lengths),
            "num_tokens": int(lengths.sum()),
            "longest": int(lengths.max()),
            "p99_length": int(lengths.max()),
            "max_length": job.max_length,
            "packing": is_packed,
            "num_sequences": -(-int(lengths.sum()) // job.max_length) if is_packed else len(lengths),
            "is_exact": True,
        }
    )
    return refine_plan(plan, data)


def recipe_of_job(job: Job, folder: Path) -> Recipe:
    """Writes the one row that a recipe must name into the folder; it is never read again."""
    rows = folder / "rows.jsonl"
    rows.write_text('{"text": "a row"}\n', encoding="utf-8")
    micro_batch = [] if job.recompute == "auto" and not job.memory_limit else [
        f"training.micro_batch_size={job.rows_per_batch}", f"training.gradient_accumulation={job.accumulation}"
    ]  # fmt: skip
    overrides = [
        f"model.source={job.model}",
        f"model.quantization={QUANTIZATIONS[job.base]}",
        f"model.dtype={'float32' if job.base == 'f32' else 'bfloat16'}",
        f"data.sources=[{{path = {json.dumps(str(rows))}}}]",
        f"data.max_length={job.max_length}",
        f"data.packing={str(job.way == 'packed').lower()}",
        "data.evaluation_fraction=0.0",
        f"adapter.rank={job.rank}",
        f"adapter.alpha={float(job.alpha)}",
        "optimizer.learning_rate=1e-4",
        "optimizer.schedule=constant",
        f"training.max_steps={job.warm_up + job.steps + 1}",
        f"acceleration.device={job.device}",
        f"acceleration.recompute={RECOMPUTE[job.recompute]}",
        *micro_batch,
        *([f"acceleration.vram={job.memory_limit / GIB}"] if job.memory_limit else []),
    ]
    return parse_recipe("", overrides, source="the benchmark")
