"""Starts one process for each measurement and reads its answer. A child never outlives the call that started it."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from tui_tuner.engine.bench.peers.outside.peer_runner.job import Answer, Job, read_answer
from tui_tuner.errors import MachineError

PACKAGE_ROOT = Path(__file__).resolve().parents[4]
RUN_PEER = Path(__file__).resolve().parent / "outside" / "run_peer.py"
OWN_CHILD = "tui_tuner.engine.bench.peers.own_child"
SECONDS = 900.0
"""Longest life of a child."""
END_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Children:
    """Where they work, and by which Python."""

    folder: Path
    pythons: Mapping[str, str]
    """Command that starts the Python of a peer: a path, or a path behind `env NAME=VALUE`; this Python if not named."""

    def measure(self, job: Job, name: str) -> Answer:
        """Run a job. What it printed is in `name`.log; a child that dies without an answer has failed."""
        job = replace(job, result=str(self.folder / f"{name}.answer.json"), started=time.time())
        path = self.folder / f"{name}.job.json"
        job.write(path)
        Path(job.result).unlink(missing_ok=True)
        if job.system == "tuner":
            command = _own_command("step", str(path))
        else:
            command = [
                *shlex.split(self.pythons.get(job.system, shlex.quote(sys.executable))),
                str(RUN_PEER),
                str(path),
            ]
        failure = self._run(command, name, is_ours=job.system == "tuner")
        if not Path(job.result).exists():
            return Answer(status="failed", reason=failure or "ended without an answer")
        return read_answer(Path(job.result))

    def ask(self, task: str, arguments: Mapping[str, object], name: str) -> dict[str, object]:
        """Another task of our own child: see there.

        Raises:
            MachineError: it failed.
        """
        question, answer = self.folder / f"{name}.question.json", self.folder / f"{name}.json"
        question.write_text(json.dumps({**arguments, "answer": str(answer)}), encoding="utf-8")
        answer.unlink(missing_ok=True)
        failure = self._run(_own_command(task, str(question)), name, is_ours=True)
        if not answer.exists():
            raise MachineError(
                f"The process that should {name} failed: {failure}.", f"Its output is in {self.folder / name}.log."
            )
        return dict(json.loads(answer.read_text(encoding="utf-8")))

    def _run(self, command: Sequence[str], name: str, *, is_ours: bool) -> str:
        """Wait for a child; returns why it failed, in a line, empty where it did not."""
        cwd = self.folder / "cwd"
        cwd.mkdir(exist_ok=True)
        log = self.folder / f"{name}.log"
        with log.open("wb") as output:
            try:
                child = subprocess.Popen(
                    command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
                    env=_own_environment() if is_ours else None,
                )  # fmt: skip
            except OSError as error:
                return f"{shlex.join(command[:-2])} cannot be started: {error.strerror}"
            try:
                code = child.wait(SECONDS)
            except subprocess.TimeoutExpired:
                return f"took more than {SECONDS:.0f} s"
            finally:
                _end(child)
        return "" if code == 0 else f"exit code {code}: {_last_line(log)}"


def missing_python(command: str) -> str:
    """The program that a Python's command names, where there is no such program; else nothing."""
    words = shlex.split(command) or [""]
    return words[0] if shutil.which(words[0]) is None else ""


def _own_command(*arguments: str) -> list[str]:
    # -P: a module in the folder that the child works in must not stand in for one of ours.
    return [sys.executable, "-P", "-m", OWN_CHILD, *arguments]


def _own_environment() -> dict[str, str]:
    paths = [str(PACKAGE_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def _end(child: subprocess.Popen[bytes]) -> None:
    """Nothing of its process group stays, whether it has ended or the caller has been interrupted."""
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            child.wait(END_SECONDS)
    with suppress(ProcessLookupError):  # Nobody is left, which is what was wanted.
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1][:200] if lines else "it printed nothing"
