"""Upload to the Hugging Face Hub: lists first, sends what is not there yet, weights before what makes them a model.

Each file is a commit of its own, so that an upload that broke off goes on at the file where it did. The token is
huggingface_hub's own affair: it is never read here, and never shown.
"""

import hashlib
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from tui_tuner.engine.saving.files import file_hash
from tui_tuner.errors import AdapterError, MachineError
from tui_tuner.exports import (
    ExportEvent,
    ExportFinished,
    ExportKind,
    ExportProgress,
    ExportProof,
    ExportStage,
    ProofCheck,
    ServeCommand,
    WrittenFile,
)

WEIGHT_ENDINGS = (".safetensors", ".gguf")
REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
SECRET = re.compile(r"hf_[A-Za-z0-9]{8,}")
GIT_BLOCK = 1 << 20


class HubApi(Protocol):
    """What is needed of `huggingface_hub.HfApi`; exchanged in tests."""

    def create_repo(self, repo_id: str, *, private: bool | None, exist_ok: bool) -> Any: ...

    def get_paths_info(self, repo_id: str, paths: list[str]) -> Sequence[Any]: ...

    def upload_file(
        self, *, path_or_fileobj: str, path_in_repo: str, repo_id: str, commit_message: str | None
    ) -> Any: ...


def check_repository(repository: str | None) -> str:
    """Raise AdapterError unless this can be the name of a repository."""
    if repository is None:
        raise AdapterError("An upload needs a repository.", "Name it with --repo owner/name.")
    if not REPOSITORY.fullmatch(repository):
        raise AdapterError(f"{repository!r} is no repository.", "Name it as owner/name.")
    return repository


def upload_order(files: Sequence[Path]) -> tuple[Path, ...]:
    """Weights first and config last: a repository that is not whole yet cannot be loaded by mistake."""
    return tuple(sorted(files, key=lambda path: (_rank(path), path.name)))


def upload(files: Sequence[Path], repository: str, *, is_private: bool, api: HubApi) -> Iterator[ExportEvent]:
    """Send a finished export.

    Raises:
        MachineError: the hub refuses or cannot be reached; calling again goes on from there.
        AdapterError: the hub holds something else than was sent.
    """
    began, files = time.perf_counter(), upload_order(files)
    with _HubErrors(repository):
        api.create_repo(repository, private=is_private, exist_ok=True)
        there = _identities(api, repository, files)
        left = [path for path in files if there.get(path.name) not in _own_identities(path)]
    total = sum(path.stat().st_size for path in left)
    sent = 0
    for path in left:
        yield _progress(sent, total, path.name)
        with _HubErrors(repository):
            api.upload_file(
                path_or_fileobj=str(path),
                path_in_repo=path.name,
                repo_id=repository,
                commit_message=f"Upload {path.name}",
            )
        sent += path.stat().st_size
    yield _progress(sent, total, "")
    with _HubErrors(repository):
        there = _identities(api, repository, files)
    wrong = [path.name for path in files if there.get(path.name) not in _own_identities(path)]
    yield _proof(wrong, len(files), len(files) - len(left))
    if wrong:
        raise AdapterError(f"{repository} does not hold what was sent: {wrong[0]}.", "Upload again.")
    yield ExportFinished(
        export=ExportKind.HUB,
        folder=f"https://huggingface.co/{repository}",
        files=tuple(
            WrittenFile(name=path.name, num_bytes=path.stat().st_size, sha256=file_hash(path)) for path in files
        ),
        commands=(ServeCommand(program="hf", command=f"hf download {repository}"),),
        seconds=time.perf_counter() - began,
    )


def _rank(path: Path) -> int:
    if path.suffix in WEIGHT_ENDINGS:
        return 0
    return 2 if path.name in ("config.json", "adapter_config.json", "model.safetensors.index.json") else 1


def _identities(api: HubApi, repository: str, files: Sequence[Path]) -> dict[str, str]:
    """What the hub holds: sha256 of a large file, git's hash of a small one."""
    found = api.get_paths_info(repository, [path.name for path in files])
    return {one.path: one.lfs.sha256 if one.lfs is not None else one.blob_id for one in found}


def _own_identities(path: Path) -> tuple[str, str]:
    """By either of the hub's ways to name a content."""
    digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(GIT_BLOCK):
            digest.update(block)
    return file_hash(path), digest.hexdigest()


def _proof(wrong: Sequence[str], total: int, skipped: int) -> ExportProof:
    found = f"{total} files" + (f", {skipped} were there already" if skipped else "")
    if wrong:
        found = f"{len(wrong)} of {total} differ, first {wrong[0]}"
    check = ProofCheck(claim="the hub holds these files, by their hashes", passed=not wrong, found=found)
    return ExportProof(export=ExportKind.HUB, passed=not wrong, checks=(check,), message=found)


def _progress(done: int, total: int, name: str) -> ExportProgress:
    return ExportProgress(
        export=ExportKind.HUB, stage=ExportStage.UPLOADING, done=done, total=total, unit="bytes", detail=name
    )


class _HubErrors:
    """Turns what the hub's client raises into one line without secrets."""

    def __init__(self, repository: str) -> None:
        self._repository = repository

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        from huggingface_hub import errors

        known = (errors.HfHubHTTPError, errors.HTTPError, errors.LocalTokenNotFoundError, OSError, ValueError)  # type: ignore[attr-defined]
        if isinstance(error, known):
            said = SECRET.sub(
                "hf_…", str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            )
            raise MachineError(
                f"{self._repository} could not be uploaded: {said}",
                "Log in with `hf auth login` and a token that may write; then give the same command again, "
                "it goes on from there.",
            ) from None
