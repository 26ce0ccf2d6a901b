"""What a look at labels is asked for, and the name of the folder that its answer is kept in."""

import hashlib
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from tui_tuner.data.audit.findings import CHECKS
from tui_tuner.data.labels import TrainOn
from tui_tuner.data.lengths.settling import OverLength
from tui_tuner.data.sources.files import HubDataset, find_files
from tui_tuner.places import path_of
from tui_tuner.recipe import DataSection, DataSource

REQUEST_NAME = "request.json"
FORMAT = 1
"""Of the files of a look; another one means that older folders say nothing."""
BUILT_IN_TEMPLATES = ("auto", "plain", "chatml")


class LookRequest(BaseModel):
    """All rows of a data section as they are, before any max length."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: DataSection
    train_on: TrainOn
    tokenizer_folder: str


class FitRequest(BaseModel):
    """What a max length makes of the longer rows of a look that is complete."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_length: int
    over_length: OverLength


def look_request(data: DataSection, train_on: TrainOn, tokenizer_folder: Path) -> LookRequest:
    """The request with nothing in it that changes no row: lengths, policies, split and order are left out."""
    kept = DataSection(
        sources=data.sources, evaluation_sources=data.evaluation_sources, chat_template=data.chat_template
    )
    return LookRequest(data=kept, train_on=train_on, tokenizer_folder=str(tokenizer_folder))


def look_key(request: LookRequest) -> str:
    """A name that is another one when the request, a file that it reads, or the set of checks is another.

    Raises:
        DataError: a file is not there, or not one that can be read.
    """
    data = request.data
    parts = [str(FORMAT), ",".join(CHECKS), request.model_dump_json()]
    files = [path for source in (*data.sources, *data.evaluation_sources) for path in _files(source)]
    files += [Path(request.tokenizer_folder, name) for name in ("tokenizer.json", "tokenizer_config.json")]
    files.append(Path(request.tokenizer_folder, "chat_template.jinja"))
    if data.chat_template not in BUILT_IN_TEMPLATES:
        files.append(path_of(data.chat_template))
    parts += [_stamp(path) for path in files]
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:20]


def fit_name(request: FitRequest) -> str:
    """The folder inside that of the look."""
    return f"fit-{request.max_length}-{request.over_length}"


def _files(source: DataSource) -> tuple[Path, ...]:
    found = find_files(source)
    return () if isinstance(found, HubDataset) else tuple(file.path for file in found)


def _stamp(path: Path) -> str:
    try:
        facts = path.stat()
    except OSError:
        return f"{path} is not there"
    return f"{path} {facts.st_size} {facts.st_mtime_ns}"
