"""What becomes of the screen and of a run when the connection is lost or the person logs out."""

import getpass
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from tui_tuner.diagnosis.check import Check, Status

LOGIND_FILES = (Path("/etc/systemd/logind.conf"), Path("/etc/systemd/logind.conf.d"))
SYSTEMD = Path("/run/systemd/system")
CONTAINER_SIGNS = (Path("/.dockerenv"), Path("/run/.containerenv"))
ASK_SECONDS = 3.0


def session_checks(variables: Mapping[str, str]) -> Iterator[Check]:
    yield multiplexer_check(variables)
    yield logout_check(variables, kills=kills_at_logout(), lingers=lingers())


def multiplexer_check(variables: Mapping[str, str]) -> Check:
    """Runs survive without one; the screen does not."""
    for variable, name in (("TMUX", "tmux"), ("STY", "screen")):
        if variable in variables:
            return _check("window", "ok", f"in {name}: it is still there when the connection comes back")
    if "SSH_CONNECTION" not in variables:
        return _check("window", "ok", "not over SSH")
    finding = "over SSH, in no tmux: a lost connection closes the app; runs go on, and tuner shows them again"
    fix = "tmux new -A -s tuner keeps the window as well" if shutil.which("tmux") else "apt install tmux, if you like"
    return _check("window", "note", finding, fix)


def logout_check(variables: Mapping[str, str], *, kills: bool, lingers: Literal["yes", "no", "unknown"]) -> Check:
    """Whether something ends what a person left running."""
    if job := variables.get("SLURM_JOB_ID"):
        return _check("logout", "note", f"in SLURM job {job}: runs end with the job", "Ask for enough time (--time).")
    if any(path.exists() for path in CONTAINER_SIGNS):
        return _check("logout", "note", "in a container: runs end when it is stopped", "Keep runs on a mounted folder.")
    if not SYSTEMD.is_dir():
        return _check("logout", "ok", "no systemd here: nothing ends a run when you log out")
    if kills and lingers != "yes":
        finding = "systemd ends all you left running when you log out (KillUserProcesses=yes): runs too"
        return _check("logout", "warning", finding, "loginctl enable-linger")
    if lingers == "yes":
        return _check("logout", "ok", "lingering is on: runs outlive your login")
    return _check("logout", "ok", "runs outlive your login")


def kills_at_logout(files: tuple[Path, ...] = LOGIND_FILES) -> bool:
    """Whether logind is set to end a user's processes; distributions do not unless they are told to."""
    setting = ""
    for path in files:
        for file in sorted(path.glob("*.conf")) if path.is_dir() else [path]:
            try:
                lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
            except OSError:
                continue  # absent, or not for us to read: the default holds
            values = [line.partition("=")[2] for line in lines if line.strip().startswith("KillUserProcesses")]
            setting = values[-1].strip().lower() if values else setting
    return setting in ("yes", "true", "1", "on")


def lingers() -> Literal["yes", "no", "unknown"]:
    """Whether this user's processes outlive the login, as logind says."""
    command = ["loginctl", "show-user", getpass.getuser(), "--property=Linger", "--value"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=ASK_SECONDS, check=False).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return "yes" if said == "yes" else "no" if said == "no" else "unknown"


def _check(name: str, status: Status, finding: str, fix: str = "") -> Check:
    return Check(name, status, finding, fix, "session")
