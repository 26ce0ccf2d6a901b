"""The run that made an adapter, as far as the adapter's folder tells: from our manifest, or from a trainer's own files.

Nothing here is needed to go on training; what is not there is not known.
"""

import hashlib
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tui_tuner.errors import AdapterError
from tui_tuner.plan import LearningRates
from tui_tuner.planning.json_files import read_json_object

MANIFEST_FILE = "manifest.json"
TEMPLATE_FILE = "chat_template.jinja"
TOKENIZER_FILE = "tokenizer.json"
TOKENIZER_CONFIG_FILE = "tokenizer_config.json"
TRAINER_STATE_FILE = "trainer_state.json"
MAX_TEMPLATE_BYTES = 4_000_000
MAKE_A_COPY = "Take the folder from where it was made, or remove manifest.json to go on with it as it is."


class _Part(BaseModel):
    """Other fields than these are of no use here, and may change."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)


class OriginBase(_Part):
    """The base model that the adapter was trained on."""

    source: str
    fingerprint: str
    files: dict[str, str] = {}
    """sha256 of its weight files, as far as they were known."""
    quantization: str
    dtype: str


class LoggedLoss(_Part):
    """The last held-out loss before the adapter was saved."""

    step: int
    loss: Annotated[float, Field(allow_inf_nan=False)]


class Origin(_Part):
    """What the manifest of one of our own runs says."""

    base: OriginBase
    learning_rates: LearningRates
    data_hash: str
    template_hash: str
    held_out: LoggedLoss | None = None
    files: dict[str, str] = {}
    """sha256 of each file of the folder, by name."""


def read_origin(folder: Path) -> Origin | None:
    """The manifest of an adapter folder; None where it has none.

    Raises:
        AdapterError: it is not as tuner writes it, or adapter_config.json is not the one that it was written with.
        ModelError: it cannot be read.
    """
    path = folder / MANIFEST_FILE
    if not path.is_file():
        return None
    try:
        origin = Origin.model_validate(read_json_object(path, MANIFEST_FILE))
    except ValidationError as error:
        field = ".".join(map(str, error.errors(include_url=False)[0]["loc"]))
        raise AdapterError(f"{path} is damaged or of another version of tuner (at {field}).", MAKE_A_COPY) from error
    check_file(folder, "adapter_config.json", origin)
    return origin


def check_file(folder: Path, name: str, origin: Origin) -> None:
    """Compare a file with the hash in the manifest, where it has one. Raises AdapterError where it is another."""
    wanted = origin.files.get(name)
    if wanted is None:
        return
    try:
        with (folder / name).open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise AdapterError(f"{folder / name} cannot be read: {error.strerror}.") from error
    if found != wanted:
        raise AdapterError(
            f"{folder / name} is not what was saved: its sha256 begins with {found[:12]}, "
            f"{MANIFEST_FILE} says {wanted[:12]}.",
            MAKE_A_COPY,
        )


def logged_loss(folder: Path, origin: Origin | None) -> LoggedLoss | None:
    """The last held-out loss, from our manifest or from the log of Hugging Face's Trainer; None where nobody says."""
    if origin is not None:
        return origin.held_out
    if not (folder / TRAINER_STATE_FILE).is_file():
        return None
    entries = read_json_object(folder / TRAINER_STATE_FILE, TRAINER_STATE_FILE).get("log_history")
    for entry in reversed(entries if isinstance(entries, list) else []):
        if isinstance(entry, dict) and "eval_loss" in entry:
            try:
                return LoggedLoss(step=entry.get("step", 0), loss=entry["eval_loss"])
            except ValidationError:
                return None
    return None


def chat_template(folder: Path | None) -> str | None:
    """The chat template of a model's or an adapter's folder; None where it has none of its own.

    Raises:
        ModelError: tokenizer_config.json cannot be read.
    """
    if folder is None:
        return None
    path = folder / TEMPLATE_FILE
    if path.is_file() and path.stat().st_size <= MAX_TEMPLATE_BYTES:
        return path.read_bytes().decode("utf-8", errors="replace")
    if not (folder / TOKENIZER_CONFIG_FILE).is_file():
        return None
    template = read_json_object(folder / TOKENIZER_CONFIG_FILE, TOKENIZER_CONFIG_FILE).get("chat_template")
    return template if isinstance(template, str) else None


def largest_added_token(folder: Path) -> int | None:
    """Largest id of a token that was added to the tokenizer beside the adapter; None where it has none.

    Raises:
        ModelError: the tokenizer cannot be read.
    """
    if not (folder / TOKENIZER_FILE).is_file():
        return None
    tokens: Any = read_json_object(folder / TOKENIZER_FILE, TOKENIZER_FILE).get("added_tokens")
    ids = [one.get("id") for one in tokens if isinstance(one, dict)] if isinstance(tokens, list) else []
    return max((one for one in ids if isinstance(one, int)), default=None)
