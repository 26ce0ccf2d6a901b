"""Files of a hub repository, and what it means when they cannot be had. Only this module talks to the network."""

import errno
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from tui_tuner.errors import MachineError, ModelError, TunerError

Fetch = Callable[[str, str | None, Sequence[str]], Path]
"""(repository, revision, file patterns) -> snapshot folder."""

SMALL_FILES = ("*.json", "*.jinja", "*.model", "*.tiktoken", "merges.txt", "vocab.txt")
MODEL_FILES = (*SMALL_FILES, "*.safetensors")
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


def is_hub_id(source: str) -> bool:
    """Whether a text can be a repository name: "org/name" or "name"."""
    return HUB_ID.fullmatch(source) is not None and not source.endswith((".gguf", ".safetensors", ".bin"))


def fetch_small_files(repo_id: str, revision: str | None, fetch: Fetch | None = None) -> Path:
    """Config, tokenizer and template files of a repository; no weights. Raises ModelError saying what is in the way."""
    return _fetched(repo_id, revision, SMALL_FILES, fetch or fetch_from_hub)


def fetch_model(repo_id: str, revision: str | None, fetch: Fetch | None = None) -> Path:
    """The whole model, as safetensors; what is there already is not fetched again. Raises ModelError."""
    return _fetched(repo_id, revision, MODEL_FILES, fetch or fetch_from_hub)


def fetch_from_hub(repo_id: str, revision: str | None, patterns: Sequence[str]) -> Path:
    """Fetch into the Hugging Face cache. Raises huggingface_hub's own errors."""
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(repo_id, revision=revision, allow_patterns=list(patterns)))


def _fetched(repo_id: str, revision: str | None, patterns: Sequence[str], fetch: Fetch) -> Path:
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return fetch(repo_id, revision, patterns)
    except (HfHubHTTPError, LocalEntryNotFoundError, HFValidationError, OSError) as error:
        raise hub_error(repo_id, revision, error) from error


def hub_error(repo_id: str, revision: str | None, error: Exception) -> TunerError:
    """What a failed fetch means for the person who named the repository."""
    from huggingface_hub import errors

    url = f"https://huggingface.co/{repo_id}"
    match error:
        case errors.GatedRepoError():
            return ModelError(
                f"{repo_id} is gated: its owner wants its terms accepted first.",
                f"Accept them at {url}, then log in with `hf auth login`.",
            )
        case errors.RevisionNotFoundError():
            return ModelError(
                f'{repo_id} has no revision "{revision}".', f"See its branches and commits at {url}/commits."
            )
        case errors.RepositoryNotFoundError():
            return ModelError(
                f'There is no model "{repo_id}" on the hub, and no such folder here.',
                "Check the spelling; for a private model log in with `hf auth login`.",
            )
        case OSError() if error.errno in DISK_ERRORS:
            return MachineError(
                f"{repo_id} cannot be put into the Hugging Face cache: {error.strerror}.",
                "Free some space, or set HF_HOME to a folder of your own.",
            )
        case errors.HfHubHTTPError() if error.response is not None:
            return ModelError(f"The hub answered {error.response.status_code} for {repo_id}.", "Try again later.")
        case _:
            return ModelError(
                f"{repo_id} is not on this machine, and the hub cannot be reached.",
                "Connect to the network, or name a local folder or a model from the cache.",
            )
