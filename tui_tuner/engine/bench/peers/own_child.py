"""Our own process of a comparison: `python -m tui_tuner.engine.bench.peers.own_child TASK FILE.json`.

Tasks: "step" measures a job, "model" writes a random model, "limit" measures the machine's limit.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch

from tui_tuner.engine.bench.limit import Work, measure_limit
from tui_tuner.engine.bench.named_models import write_random_model
from tui_tuner.engine.bench.peers.case_plan import plan_of_job
from tui_tuner.engine.bench.peers.outside.peer_runner.job import Answer, Job, read_job
from tui_tuner.engine.bench.peers.own import measure_own
from tui_tuner.errors import TunerError


def main(task: str, path: Path) -> None:
    if task == "step":
        job = read_job(path)
        _measured(job).write(Path(job.result))
        return
    question = json.loads(path.read_text(encoding="utf-8"))
    answer = {"model": _model, "limit": _limit}[task](question)
    Path(question["answer"]).write_text(json.dumps(answer), encoding="utf-8")


def _measured(job: Job) -> Answer:
    try:
        return measure_own(job)
    except torch.OutOfMemoryError as error:
        return Answer(status="out of memory", reason=str(error).splitlines()[0])
    except TunerError as error:
        is_memory = isinstance(error.__cause__, torch.OutOfMemoryError)
        return Answer(status="out of memory" if is_memory else "failed", reason=error.message)


def _model(question: dict[str, Any]) -> dict[str, object]:
    dtype = torch.float32 if question["is_float32"] else torch.bfloat16
    return {"folder": str(write_random_model(Path(question["folder"]), question["shape"], dtype))}


def _limit(question: dict[str, Any]) -> dict[str, object]:
    job = Job(**question["job"])
    plan = plan_of_job(job)
    if plan.threads is not None:
        torch.set_num_threads(plan.threads)
    device = torch.device(job.device)
    dtype = torch.float32 if job.base == "f32" else torch.bfloat16
    limit = measure_limit(plan.model, Work(**question["work"]), device, dtype)
    if limit is None:
        return {"tokens_per_second": None, "teraflops": None}
    return {"tokens_per_second": limit.tokens_per_second, "teraflops": limit.teraflops}


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
