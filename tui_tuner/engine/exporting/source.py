"""What an export is made from: the adapter or the model, its base on this machine, and the run that it comes from."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tui_tuner.engine.exporting.adapter_weights import AdapterWeights, open_adapter
from tui_tuner.engine.saving.adapter_files import CONFIG, MANIFEST
from tui_tuner.engine.saving.files import file_hash, fingerprint
from tui_tuner.errors import AdapterError, ModelError, RunError
from tui_tuner.events import RunState
from tui_tuner.exports import ExportRequest, HeldIn
from tui_tuner.journal import find_run, read_state
from tui_tuner.places import path_of
from tui_tuner.planning.json_files import read_json_object
from tui_tuner.planning.model_facts import BaseModel, read_base_model
from tui_tuner.planning.model_source import LocatedModel, locate_model
from tui_tuner.planning.weight_hashes import differing_file, known_hashes
from tui_tuner.recipe import ModelSection

ONE_FINGERPRINT = 12
"""Digits of a fingerprint that are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportSource:
    """Everything that is read. Nothing of it is ever written to."""

    name: str
    """For file names: that of the run or of the folder."""
    folder: Path
    """The adapter's folder, or that of a whole model."""
    base: BaseModel
    base_folder: Path
    base_name: str
    base_fingerprint: str
    weights: AdapterWeights | None
    """None where the folder is a whole model."""
    manifest: dict[str, Any]
    """tuner's own ledger beside the weights; empty where another program made them."""
    run_folder: Path | None
    run: RunState | None

    @property
    def trained_in(self) -> str:
        """The type that training computed in: "bfloat16" or "float32"."""
        return str(self.manifest.get("base", {}).get("dtype") or self.base.facts.dtype)

    @property
    def held_in(self) -> HeldIn | None:
        """In which bits the base was while the adapter was trained; None for its own."""
        if self.base.facts.stored_quantization is not None:
            return "nf4"
        held = self._section("base").get("quantization")
        return held if held in ("nf4", "fp8") else None

    @property
    def was_quantised(self) -> bool:
        """Whether the base was in four or eight bits while the adapter was trained."""
        return self.held_in is not None

    @property
    def stop_ids(self) -> tuple[int, ...]:
        """Tokens that ended trained turns."""
        return tuple(int(one) for one in self.manifest.get("end_of_turn_ids", ()))

    def _section(self, name: str) -> dict[str, Any]:
        section = self.manifest.get(name)
        return section if isinstance(section, dict) else {}


def open_source(request: ExportRequest) -> ExportSource:
    """Find and check what is to be exported.

    Raises:
        RunError: a run of that name has no result yet.
        AdapterError: the adapter is damaged, or the base is not the one that it was trained on.
        ModelError: the base model is not on this machine, or not whole.
    """
    folder, run_folder = _result_folder(request)
    manifest = _manifest(folder)
    is_adapter = (folder / CONFIG).is_file()
    located = _locate(_base_section(folder, manifest, request)) if is_adapter else _locate(_section_for(str(folder)))
    section = ModelSection(source=str(located.folder), name_mapping="off")
    base = read_base_model(located, section)
    found = fingerprint(located.folder / "config.json", [located.folder / name for name in base.facts.weight_files])
    weights = None
    if is_adapter:
        files = known_hashes(located.folder, base.facts.weight_files)
        _check_base(folder, manifest, found, request)
        _check_files(folder, manifest, files)
        weights = open_adapter(folder, base.family)
        weights.check_finite()
    return ExportSource(
        name=(run_folder or folder).name,
        folder=folder,
        base=base,
        base_folder=located.folder,
        base_name=_base_name(folder, located) if is_adapter else str(folder),
        base_fingerprint=found,
        weights=weights,
        manifest=manifest,
        run_folder=run_folder,
        run=read_state(run_folder) if run_folder else None,
    )


def _result_folder(request: ExportRequest) -> tuple[Path, Path | None]:
    """The folder that is exported, and the run's where it belongs to one."""
    folder = path_of(request.source)
    if (folder / CONFIG).is_file() or (folder / "config.json").is_file():
        return folder.resolve(), _run_above(folder.resolve())
    run = find_run(request.source, Path(request.runs_folder))
    for result in (run / "adapter", run / "model"):
        if result.is_dir():
            return result.resolve(), run.resolve()
    raise RunError(f"Run {run.name} has no adapter yet.", "Let it finish, or name one of its checkpoints.")


def _run_above(folder: Path) -> Path | None:
    for parent in list(folder.parents)[:2]:
        if (parent / "events.jsonl").is_file():
            return parent
    return None


def _manifest(folder: Path) -> dict[str, Any]:
    """tuner's ledger, with every file that it names compared with its hash."""
    if not (folder / MANIFEST).is_file():
        return {}
    try:
        manifest = read_json_object(folder / MANIFEST, MANIFEST)
    except ModelError as error:
        raise AdapterError(error.message, error.hint) from error
    for name, expected in dict(manifest.get("files") or {}).items():
        path = folder / Path(name).name
        if not path.is_file() or file_hash(path) != expected:
            raise AdapterError(
                f"{path} is {'not what was saved' if path.is_file() else 'missing'}: its hash is not the manifest's.",
                "The adapter is damaged; export another one, such as an earlier checkpoint.",
            )
    return manifest


def _base_section(folder: Path, manifest: dict[str, Any], request: ExportRequest) -> ModelSection:
    if request.base_model is not None:
        return _section_for(request.base_model)
    config = _adapter_config(folder)
    name = str(config.get("base_model_name_or_path") or "")
    if not name:
        raise AdapterError(f"{folder / CONFIG} names no base model.", "Name it with --base-model.")
    revision = config.get("revision") or (manifest.get("base") or {}).get("revision")
    is_local = path_of(name).exists()
    return _section_for(name, None if is_local else revision)


def _section_for(name: str, revision: str | None = None) -> ModelSection:
    return ModelSection(source=name, revision=revision, name_mapping="off")


def _locate(section: ModelSection) -> LocatedModel:
    located = locate_model(section)
    if not located.is_complete:
        raise ModelError(
            f"The base model {section.source} is not whole on this machine.",
            f"Fetch it with `hf download {section.source}`, or name a folder with --base-model.",
        )
    return located


def _check_base(folder: Path, manifest: dict[str, Any], found: str, request: ExportRequest) -> None:
    expected = str((manifest.get("base") or {}).get("fingerprint") or "")
    if expected and expected != found:
        named = request.base_model or "the base model here"
        raise AdapterError(
            f"{folder} was trained on another base model: {expected[:ONE_FINGERPRINT]}, "
            f"{named} is {found[:ONE_FINGERPRINT]}.",
            "Name the folder of the base that it was trained on with --base-model.",
        )


def _check_files(folder: Path, manifest: dict[str, Any], now: dict[str, str]) -> None:
    """By the hashes of whole files, where they are known for both: the fingerprint reads samples."""
    before = (manifest.get("base") or {}).get("files")
    other = differing_file(before, now) if isinstance(before, dict) else None
    if other is not None:
        raise AdapterError(
            f"{folder} was trained on another {other} of its base model: by their sha256 they differ.",
            "Name the folder of the base that it was trained on with --base-model.",
        )


def _base_name(folder: Path, located: LocatedModel) -> str:
    return str(_adapter_config(folder).get("base_model_name_or_path") or located.folder)


def _adapter_config(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise AdapterError(f"{folder / CONFIG} cannot be read: {error}.") from error
    if not isinstance(config, dict):
        raise AdapterError(f"{folder / CONFIG} holds no object.")
    return config
