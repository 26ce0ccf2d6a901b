"""The lock of a run's folder. The kernel drops it when the process dies, however it dies."""

import fcntl
import os
import socket
from pathlib import Path

from tui_tuner.errors import RunError

LOCK_NAME = "lock"


def acquire_lock(folder: Path) -> int:
    """Take the folder's lock and note who holds it; returns the descriptor that keeps it.

    Raises:
        RunError: another process holds it.
        OSError: the file system cannot create or lock files.
    """
    descriptor = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()} {socket.gethostname()}\n".encode())
    except BlockingIOError as error:
        os.close(descriptor)
        raise RunError(f"{folder} is in use by process {lock_owner(folder)}.", "Wait for it, or stop it.") from error
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def is_alive(folder: Path) -> bool:
    """Whether a process holds the folder's lock right now."""
    try:
        descriptor = os.open(folder / LOCK_NAME, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def lock_owner(folder: Path) -> str:
    """Process and host that took the lock last, as "4471 on gpu-box"."""
    try:
        process, _, host = (folder / LOCK_NAME).read_text(encoding="utf-8").strip().partition(" ")
    except OSError:
        return "unknown"
    return f"{process} on {host}"
