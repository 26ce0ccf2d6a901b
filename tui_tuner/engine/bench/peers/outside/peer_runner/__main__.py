"""`python -m peer_runner JOB.json`: measures, and writes the answer.

A peer that is not there, or does not fit the memory, is an answer; other errors end the process with a traceback.
"""

import os
import sys
from pathlib import Path

from .job import Answer, Job, read_job

# Models are local, and what a peer reports of its users is nobody's business here.
QUIET = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "UNSLOTH_DISABLE_STATISTICS": "1",
    "WANDB_DISABLED": "true",
}


def main(path: Path) -> None:
    job = read_job(path)
    os.environ.update(QUIET)
    _answer(job).write(Path(job.result))


def _answer(job: Job) -> Answer:
    try:
        if job.system == "unsloth":
            # It changes torch and transformers, and wants to be imported before them.
            import unsloth  # noqa: F401
        from .timing import measure

        return measure(job)
    except ImportError as error:
        return Answer(status="absent", reason=str(error))
    except RuntimeError as error:
        if "out of memory" not in str(error):
            raise
        return Answer(status="out of memory", reason=str(error).splitlines()[0])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
