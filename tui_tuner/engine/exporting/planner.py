"""What each kind of an export will write, and every refusal that can come before anything is written."""

from dataclasses import dataclass, field
from pathlib import Path

from tui_tuner.engine.exporting.adapter_copy import copied_files
from tui_tuner.engine.exporting.gguf_files.adapter import check_adapter, lora_gguf_bytes
from tui_tuner.engine.exporting.gguf_files.export import check_quantizer, written_type
from tui_tuner.engine.exporting.gguf_files.writing import GgufLayout, gguf_layout
from tui_tuner.engine.exporting.hub import check_repository
from tui_tuner.engine.exporting.merged import check_base, chosen_weights
from tui_tuner.engine.exporting.model_weights import ModelWeights
from tui_tuner.engine.exporting.ollama.derivation import DerivedTemplate
from tui_tuner.engine.exporting.ollama.export import MODELFILE, ollama_template
from tui_tuner.engine.exporting.side_files import model_files, planned_small_files
from tui_tuner.engine.exporting.source import ExportSource
from tui_tuner.engine.exporting.target_folder import EXPORT, check_target, target_folder
from tui_tuner.errors import AdapterError
from tui_tuner.exports import GGUF_TYPES, ExportKind, ExportPlanned, ExportRequest, MergeBase, PlannedFile

MERGING_KINDS = (ExportKind.MERGED, ExportKind.GGUF, ExportKind.OLLAMA)
GGUF_KINDS = (ExportKind.GGUF, ExportKind.OLLAMA)
ADAPTER_KINDS = (ExportKind.ADAPTER, ExportKind.MERGED, ExportKind.LORA_GGUF)
CARD = PlannedFile(name="README.md", num_bytes=4_000)
LEDGER = PlannedFile(name=EXPORT, num_bytes=4_000)


@dataclass(slots=True)
class ExportPlanner:
    """Plans one request, kind by kind."""

    request: ExportRequest
    source: ExportSource
    templates: dict[ExportKind, DerivedTemplate] = field(default_factory=dict)
    """Go templates, by the kind that needs one."""
    _planned_bytes: int = 0
    """Of the kinds that were planned already; they may share a disk."""
    _layout: GgufLayout | None = None

    def plan(self, kind: ExportKind) -> ExportPlanned:
        """What a kind will write, once everything that can be checked before is.

        Raises:
            TunerError: it cannot be done, does not fit the disk, or would overwrite something.
        """
        self._check(kind)
        files = self._files(kind)
        if kind == ExportKind.HUB:
            return self._plan_upload(files)
        needed = sum(file.num_bytes for file in files) + self._passing_bytes(kind)
        folder = self.folder(kind)
        free = check_target(folder, self._planned_bytes + needed, replaces=self.request.replaces)
        self._planned_bytes += needed
        return ExportPlanned(
            export=kind,
            folder=str(folder),
            files=files,
            bytes_needed=needed,
            bytes_free=free,
            base_model=self.source.base_name,
            notes=self._notes(kind),
        )

    def folder(self, kind: ExportKind) -> Path:
        return target_folder(self.request, kind, self.source.folder, self.source.run_folder)

    def uploaded(self) -> tuple[Path, ...]:
        """Files of the last other kind that is asked for, once it is written; else those of the source."""
        other = self._uploaded_kind()
        if other is not None:
            return tuple(path for path in sorted(self.folder(other).iterdir()) if path.is_file())
        return copied_files(self.source) if self.source.weights is not None else model_files(self.source)

    def _uploaded_kind(self) -> ExportKind | None:
        others = [kind for kind in ExportKind if kind in self.request.kinds and kind != ExportKind.HUB]
        return others[-1] if others else None

    def _check(self, kind: ExportKind) -> None:
        weights = self.source.weights
        if kind in ADAPTER_KINDS and weights is None:
            raise AdapterError(f"{self.source.folder} is a whole model, with no adapter in it.", "Export it as gguf.")
        if kind in MERGING_KINDS and weights is not None:
            check_base(self.source, self.request.base)
        if kind == ExportKind.LORA_GGUF and weights is not None:
            check_adapter(weights)
        if kind in GGUF_KINDS:
            self._check_type()
        if kind == ExportKind.OLLAMA:
            self.templates[kind] = ollama_template(self.source, accepts_unequal=self.request.accepts_template)
        if kind == ExportKind.HUB:
            check_repository(self.request.repository)

    def _check_type(self) -> None:
        if self.request.quantization not in GGUF_TYPES:
            raise AdapterError(
                f"{self.request.quantization!r} is no GGUF type here.", f"Use one of {', '.join(GGUF_TYPES)}."
            )
        check_quantizer(self.request.quantization, self.source.name)

    def _files(self, kind: ExportKind) -> tuple[PlannedFile, ...]:
        match kind:
            case ExportKind.ADAPTER:
                return (*(_of(path) for path in copied_files(self.source)), LEDGER)
            case ExportKind.LORA_GGUF:
                assert self.source.weights is not None
                name = f"{self.source.name}-lora.gguf"
                return (PlannedFile(name=name, num_bytes=lora_gguf_bytes(self.source.weights)), CARD, LEDGER)
            case ExportKind.MERGED:
                return (*self._merged_files(), LEDGER)
            case ExportKind.HUB:
                other = self._uploaded_kind()
                return self._files(other) if other is not None else tuple(_of(path) for path in self.uploaded())
            case ExportKind.GGUF | ExportKind.OLLAMA:
                return (*self._gguf_files(kind), LEDGER)

    def _merged_files(self) -> tuple[PlannedFile, ...]:
        shards = [
            PlannedFile(name=name, num_bytes=sum(one.num_bytes for one in entries), about=f"{len(entries)} tensors")
            for name, entries in self._likely_weights().files
        ]
        small = [_of(path) for path in planned_small_files(self.source)]
        return (*shards, *small, CARD)

    def _gguf_files(self, kind: ExportKind) -> tuple[PlannedFile, ...]:
        layout = self._gguf_layout()
        name = f"{self.source.name}-{self.request.quantization}.gguf"
        # llama-quantize makes a file that is smaller than ours by an amount that only it knows.
        whole = PlannedFile(name=name, num_bytes=layout.num_bytes, about=f"{len(layout.tensors)} tensors")
        if kind == ExportKind.GGUF:
            return (whole, CARD)
        return (whole, CARD, PlannedFile(name=MODELFILE, num_bytes=len(self.templates[kind].text)))

    def _plan_upload(self, files: tuple[PlannedFile, ...]) -> ExportPlanned:
        notes = ["private" if self.request.is_private else "public: anyone can read it"]
        if Path(self.source.base_name).is_absolute():
            notes.append(f"the files name {self.source.base_name} as the base model, which nobody else has")
        return ExportPlanned(
            export=ExportKind.HUB,
            folder=f"https://huggingface.co/{self.request.repository}",
            files=files,
            bytes_needed=0,
            bytes_free=None,
            base_model=self.source.base_name,
            notes=tuple(notes),
        )

    def _passing_bytes(self, kind: ExportKind) -> int:
        """What lies on the disk only for a while: the whole file, while llama-quantize makes the small one."""
        is_shrunk = written_type(self.request.quantization) != self.request.quantization
        return self._gguf_layout().num_bytes if kind in GGUF_KINDS and is_shrunk else 0

    def _gguf_layout(self) -> GgufLayout:
        if self._layout is None:
            kind = written_type(self.request.quantization)
            self._layout = gguf_layout(self.source, self._likely_weights(), kind)
        return self._layout

    def _likely_weights(self) -> ModelWeights:
        """Their sizes are the same whichever base is chosen, but for float32 checkpoints."""
        is_stored = self.source.base.facts.stored_quantization is not None
        asked: MergeBase = "dequantised" if self.request.base == "dequantised" or is_stored else "16bit"
        return chosen_weights(self.source, asked, self.request.device)

    def _notes(self, kind: ExportKind) -> tuple[str, ...]:
        notes = []
        if kind in MERGING_KINDS and self.source.was_quantised and self.request.base == "auto":
            notes.append("merged into the base, 16-bit or dequantised, on which the adapter has the lower loss")
        if kind in MERGING_KINDS and self.source.weights is not None and not self.source.manifest:
            notes.append("the adapter has no manifest: that this is its base cannot be checked")
        if kind in GGUF_KINDS:
            notes += self._gguf_layout().remarks
        return tuple(notes)


def _of(path: Path) -> PlannedFile:
    return PlannedFile(name=path.name, num_bytes=path.stat().st_size)
