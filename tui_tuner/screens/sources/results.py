"""Finds what runs left behind: adapters, whole models and checkpoints. Reads folders: call it from a thread."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tui_tuner.journal.listing import CHECKPOINT_NAME
from tui_tuner.places import is_file, is_folder, is_there, path_of
from tui_tuner.screens.runs.catalogue import RunEntry
from tui_tuner.starter import model_title

ADAPTER_CONFIG = "adapter_config.json"
MODEL_CONFIG = "config.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One adapter or model on this machine."""

    title: str
    """The run's name; for a checkpoint with its step."""
    path: Path
    """What the engine is given: the run's folder, the checkpoint's, or the one that a person named."""
    base_model: str = ""
    best_loss: float | None = None
    updated: float | None = None
    step: int | None = None
    """Of a checkpoint; None for what a run ended with."""

    @property
    def base_name(self) -> str:
        return model_title(self.base_model)


def list_results(entries: Sequence[RunEntry]) -> tuple[Result, ...]:
    """The results of these runs in their order, each before its checkpoints, newest checkpoint first."""
    return tuple(result for entry in entries if entry.has_folder for result in _of_run(entry))


def result_at(text: str) -> Result:
    """What a person typed: a path, or a name that the engine will look up."""
    path = path_of(text)
    title = f"{path.parent.name}/{path.name}" if path.is_absolute() else str(path)
    return Result(title=title, path=path)


def path_problem(text: str) -> str:
    """Why a path names no adapter and no model; empty where it does, or where the text is no path."""
    path = path_of(text)
    if not text.strip():
        return "Type the path of an adapter or of a model."
    if not is_there(path):
        return "There is no such folder." if path.is_absolute() or text.startswith((".", "~")) else ""
    if any(is_file(path / name) for name in (ADAPTER_CONFIG, MODEL_CONFIG)):
        return ""
    if any(is_folder(path / name) for name in ("adapter", "model")):
        return ""
    return f"It has neither {ADAPTER_CONFIG} nor {MODEL_CONFIG}."


def _of_run(entry: RunEntry) -> Iterator[Result]:
    run, folder = entry.summary, Path(entry.summary.folder)
    updated = run.updated or run.started
    if any((folder / name).is_dir() for name in ("adapter", "model")):
        yield Result(title=run.id, path=folder, base_model=run.model, best_loss=run.best_loss, updated=updated)
    checkpoints = folder / "checkpoints"
    if not checkpoints.is_dir():
        return
    for path in sorted(checkpoints.iterdir(), reverse=True):
        named = CHECKPOINT_NAME.fullmatch(path.name)
        if named and any((path / name).is_file() for name in (ADAPTER_CONFIG, MODEL_CONFIG)):
            title = f"{run.id} · step {int(named[1]):,}"
            yield Result(title=title, path=path, base_model=run.model, updated=updated, step=int(named[1]))
