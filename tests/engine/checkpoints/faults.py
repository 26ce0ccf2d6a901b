"""Real faults for tests: small disks, read-only folders, and runs in processes that can be signalled and killed."""

import multiprocessing
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest

from tests.engine.tiny_runs import recipe_in
from tui_tuner.cli.watching.following import follow, follow_resumed
from tui_tuner.events import StepFinished
from tui_tuner.journal import read_events

# Forks of a server that has torch imported and never trained: torch's autograd engine survives no other fork.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([__name__])
PATIENCE = 120.0
POLL = 0.02
FILLING = "filling"


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[Path]:
    """A file system at a folder, which is made; the test is skipped where this may not be done."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(["mount", *options, str(folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def read_only(mount: Path) -> Iterator[None]:
    """A mounted folder that may be read and not written."""
    subprocess.run(["mount", "-o", "remount,ro,bind", str(mount)], check=True)
    yield


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    with mounted(folder, "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs") as disk:
        yield disk


def fill(disk: Path, leave: int) -> None:
    """Take all of a disk but so many bytes."""
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    with (disk / FILLING).open("ab") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, free - leave))


def free(disk: Path) -> None:
    (disk / FILLING).unlink()


def start(folder: Path, name: str, *overrides: str) -> ForkServerProcess:
    """`tuner train` in a process of its own; what it prints is in NAME.out and NAME.err."""
    return _started(_train, folder, name, overrides)


def start_again(folder: Path, name: str) -> ForkServerProcess:
    """`tuner resume` in a process of its own."""
    return _started(_resume, folder, name, ())


def wait_for_step(process: ForkServerProcess, run: Path, step: int) -> None:
    """Return when the journal has the step; fail where the process ends before."""
    deadline = time.monotonic() + PATIENCE
    while process.is_alive() and time.monotonic() < deadline:
        if (run / "events.jsonl").exists():
            steps = [one.step for one in read_events(run) if isinstance(one, StepFinished)]
            if max(steps, default=0) >= step:
                return
        time.sleep(POLL)
    pytest.fail(f"the run did not come to step {step}: exit code {process.exitcode}")


def exit_code(process: ForkServerProcess) -> int | None:
    process.join(PATIENCE)
    return process.exitcode


def _started(target: object, folder: Path, name: str, overrides: tuple[str, ...]) -> ForkServerProcess:
    process = FORKS.Process(target=target, args=(folder, name, overrides))  # type: ignore[arg-type]
    process.start()
    return process


def _train(folder: Path, name: str, overrides: tuple[str, ...]) -> None:
    _redirect(folder, name)
    raise SystemExit(follow(recipe_in(folder, *overrides, f"output.name={name}"), as_json=False))


def _resume(folder: Path, name: str, _overrides: tuple[str, ...]) -> None:
    _redirect(folder, name)
    raise SystemExit(follow_resumed(folder / "runs" / name, accept=False, as_json=False))


def _redirect(folder: Path, name: str) -> None:
    for descriptor, ending in ((1, "out"), (2, "err")):
        file = os.open(folder / f"{name}.{ending}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, descriptor)
