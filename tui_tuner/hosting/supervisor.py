"""Looks after one engine process: `python -m tui_tuner.hosting.supervisor FOLDER LOCK` starts it and notes its end.

It loads nothing but the standard library, so that it costs nothing and survives whatever ends the engine.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from tui_tuner.hosting.live_folder import LiveFolder
from tui_tuner.redaction import redacted

HOST = "tui_tuner.hosting.host"
FORWARDED = (signal.SIGTERM, signal.SIGINT)


def main(folder: Path, lock: int) -> int:
    """Returns the engine's exit code, or 128 and its signal's number."""
    live = LiveFolder(folder)
    os.set_inheritable(lock, False)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    # Signals wait until there is somebody to forward them to.
    signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)
    # A group of its own: a signal to the supervisor's group must not reach the engine twice.
    engine = subprocess.Popen(
        [sys.executable, "-P", "-m", HOST, str(folder), str(lock)],
        pass_fds=(lock,),
        process_group=0,
    )
    for number in FORWARDED:
        signal.signal(number, lambda _number, _frame: engine.send_signal(signal.SIGTERM))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
    code = engine.wait()
    _note_exit(live, code)
    if code == 0 and live.run_folder.is_dir():
        _tidy(live)
    return code if code >= 0 else 128 - code


def _note_exit(live: LiveFolder, code: int) -> None:
    name = signal.Signals(-code).name if code < 0 else None
    exit_status = {"code": code if code >= 0 else None, "signal": name, "time": time.time()}
    fresh = live.exit.with_suffix(".new")
    fresh.write_text(json.dumps(exit_status), encoding="utf-8")
    fresh.replace(live.exit)


def _tidy(live: LiveFolder) -> None:
    """A run that ended well needs no live folder; what its process said is kept in its own log."""
    said = live.log.read_bytes()
    if said:
        with (live.run_folder / "log.txt").open("ab") as log:
            log.write(redacted(said.decode("utf-8", "replace")).encode())
    shutil.rmtree(live.path, ignore_errors=True)


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), int(sys.argv[2])))
