"""sha256 of whole weight files, without reading hundreds of gigabytes at each start.

A file in the Hub's cache is named after its hash; of others it is known once somebody had them read in full
(`tuner models --verify`), and kept under what identifies a file: device, inode, size and time of change.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from tui_tuner.errors import ModelError

BLOCK = 16 * 2**20
MOST_KEPT = 4096
SHA256 = re.compile(r"[0-9a-f]{64}")
ReportProgress = Callable[[int, int], None]
"""Bytes done and in all."""


def known_hashes(folder: Path, names: Sequence[str]) -> dict[str, str]:
    """The hashes that are known without reading, by file name."""
    kept = _kept()
    found = {name: _named_by_the_hub(folder / name) or kept.get(_identity(folder / name)) for name in names}
    return {name: digest for name, digest in found.items() if digest is not None}


def hash_in_full(folder: Path, names: Sequence[str], report: ReportProgress) -> dict[str, str]:
    """Read every byte, and remember the hashes.

    Raises:
        ModelError: a file is not the one that was downloaded, or cannot be read.
    """
    total, done = sum((folder / name).stat().st_size for name in names), 0
    found: dict[str, str] = {}
    for name in names:
        digest = hashlib.sha256()
        with (folder / name).open("rb") as file:
            while block := file.read(BLOCK):
                digest.update(block)
                done += len(block)
                report(done, total)
        found[name] = digest.hexdigest()
        expected = _named_by_the_hub(folder / name)
        if expected not in (None, found[name]):
            raise ModelError(
                f"{folder / name} is damaged: its sha256 begins with {found[name][:12]}, it was downloaded as "
                f"{str(expected)[:12]}.",
                f"Remove {(folder / name).resolve()} and fetch the model again.",
            )
    _keep({_identity(folder / name): digest for name, digest in found.items()})
    return found


def differing_file(before: dict[str, str], now: dict[str, str]) -> str | None:
    """The first file whose hash is known on both sides and is not the same."""
    return next((name for name in before if name in now and before[name] != now[name]), None)


def cache_file() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "tuner" / "weight-hashes.json"


def _named_by_the_hub(path: Path) -> str | None:
    blob = path.resolve()
    return blob.name if blob.parent.name == "blobs" and SHA256.fullmatch(blob.name) else None


def _identity(path: Path) -> str:
    status = path.stat()
    return f"{status.st_dev}:{status.st_ino}:{status.st_size}:{status.st_mtime_ns}"


def _kept() -> dict[str, str]:
    try:
        content = json.loads(cache_file().read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}  # A cache that cannot be read is as good as none.
    pairs = content.items() if isinstance(content, dict) else ()
    return {str(key): value for key, value in pairs if isinstance(value, str) and SHA256.fullmatch(value)}


def _keep(fresh: dict[str, str]) -> None:
    everything = _kept() | fresh
    newest = dict(list(everything.items())[-MOST_KEPT:])
    path = cache_file()
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    beside.write_text(json.dumps(newest), encoding="utf-8")
    beside.chmod(0o600)
    beside.replace(path)
