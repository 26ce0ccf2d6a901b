"""What an export is: the kinds, what a person asks for, and what an export tells the world, one typed event at a time.

Pure values; front ends see nothing else of an export. Nothing here reads or writes a file.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Annotated, Any, Literal, assert_never

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from tui_tuner.events import Event

MergeBase = Literal["auto", "16bit", "dequantised"]
"""What an adapter is added to: the base as it was published, or the NF4 or fp8 weights that it was trained on, written
out."""
HeldIn = Literal["nf4", "fp8"]
"""The fewer bits in which a base may be held while an adapter is trained on it."""
MERGE_BASES: tuple[MergeBase, ...] = ("auto", "16bit", "dequantised")
WRITTEN_GGUF_TYPES = ("f32", "f16", "bf16", "q8_0")
"""Types that tuner writes itself."""
LLAMA_CPP_GGUF_TYPES = ("q6_k", "q5_k_m", "q5_k_s", "q4_k_m", "q4_k_s", "q4_0", "q3_k_m", "iq4_xs")
"""Types that llama.cpp's `llama-quantize` makes of a file of ours, where it is on PATH."""
GGUF_TYPES = (*WRITTEN_GGUF_TYPES, *LLAMA_CPP_GGUF_TYPES)
DEFAULT_GGUF_TYPE = "q8_0"


class ExportKind(StrEnum):
    """What can be made of a run or an adapter."""

    ADAPTER = "adapter"
    MERGED = "merged"
    GGUF = "gguf"
    LORA_GGUF = "lora-gguf"
    OLLAMA = "ollama"
    HUB = "hub"


@dataclass(frozen=True, slots=True)
class ExportForm:
    """A kind of export in words."""

    kind: ExportKind
    title: str
    what: str
    used_by: str


EXPORT_FORMS: tuple[ExportForm, ...] = (
    ExportForm(
        ExportKind.ADAPTER,
        "Adapter",
        "The adapter alone, some MB, with tokenizer, template and model card. Whoever loads it needs the base model.",
        "PEFT, transformers, vLLM",
    ),
    ExportForm(
        ExportKind.MERGED,
        "Merged model",
        "The base model with the adapter added in, a whole model in Hugging Face's layout.",
        "transformers, vLLM, SGLang, llama.cpp's converter",
    ),
    ExportForm(
        ExportKind.GGUF,
        "GGUF",
        "The merged model as one file with tokenizer and chat template, in 16 or 8 bits; fewer through llama-quantize.",
        "llama.cpp, Ollama, LM Studio",
    ),
    ExportForm(
        ExportKind.LORA_GGUF,
        "GGUF adapter",
        "The adapter alone as a GGUF file, put on a GGUF of its base when that is loaded.",
        "llama.cpp with --lora, Ollama's ADAPTER",
    ),
    ExportForm(
        ExportKind.OLLAMA,
        "Ollama",
        "A GGUF with a Modelfile whose template says what the chat template says, checked token for token.",
        "ollama create",
    ),
    ExportForm(
        ExportKind.HUB,
        "Hub",
        "Upload of what is exported beside it, else of the adapter. Lists every file first; goes on where it stopped.",
        "Hugging Face Hub",
    ),
)


class ExportRequest(BaseModel):
    """What a person wants."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    source: str
    """A run (id, its beginning, "last", path), or a folder with an adapter or a whole model."""
    kinds: tuple[ExportKind, ...]
    out: str | None = None
    """Folder of the export; with several kinds, each gets one inside. None chooses one beside the adapter."""
    quantization: str = DEFAULT_GGUF_TYPE
    """One of `GGUF_TYPES`, for gguf and ollama."""
    base: MergeBase = "auto"
    base_model: str | None = None
    """Folder or name of the base model, where it is not the one that the adapter names."""
    repository: str | None = None
    """owner/name, for hub."""
    is_private: bool = True
    replaces: bool = False
    """Whether an earlier export in the same place may be replaced. Nothing else ever is."""
    accepts_template: bool = False
    """Whether an Ollama template that is not equal to the chat template may be written all the same."""
    runs_folder: str = "runs"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the proof runs. Merging and writing always run on the CPU."""


class PlannedFile(BaseModel):
    model_config = ConfigDict(frozen=True, defer_build=True)

    name: str
    num_bytes: int
    """Exact for weights, about right for small files."""
    about: str = ""


class ServeCommand(BaseModel):
    """A command for exactly these files."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    program: str
    """"vLLM", "llama.cpp", "Ollama", "transformers", "llama-quantize", "scp"."""
    command: str


class ExportPlanned(Event):
    """What will be written, before anything is."""

    kind: Literal["planned"] = "planned"
    export: ExportKind
    folder: str
    """Where it will be; for hub the address."""
    files: tuple[PlannedFile, ...]
    bytes_needed: int
    """On the disk at the worst moment, with what lies there only for a while."""
    bytes_free: int | None
    """None where nothing is written here."""
    base_model: str = ""
    notes: tuple[str, ...] = ()


class ExportStage(StrEnum):
    """What an export is busy with."""

    CHECKING = "checking"
    MERGING = "merging"
    MEASURING = "measuring"
    WRITING = "writing"
    QUANTIZING = "quantizing"
    PROVING = "proving"
    UPLOADING = "uploading"


class ExportProgress(Event):
    kind: Literal["progress"] = "progress"
    export: ExportKind
    stage: ExportStage
    done: int = 0
    total: int | None = None
    unit: Literal["tensors", "bytes", "rows", "files", ""] = ""
    detail: str = ""


class ExportWarning(Event):
    kind: Literal["warning"] = "warning"
    export: ExportKind
    message: str
    hint: str = ""


class ProofCheck(BaseModel):
    """One claim about what was written, and what was found."""

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="strings", defer_build=True)

    claim: str
    """In words: "merged answers as the live adapter does"."""
    passed: bool
    found: str
    """The measure in words: "KL 1.2e-06, same first choice at 512 of 512 tokens"."""
    value: float | None = None
    limit: float | None = None


class BaseMeasured(BaseModel):
    """Loss on the proof rows of one way to merge."""

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="strings", defer_build=True)

    base: MergeBase
    loss: float
    is_chosen: bool


class ExportProof(Event):
    """What was read back from the disk, against what it was made from."""

    kind: Literal["proof"] = "proof"
    export: ExportKind
    passed: bool
    checks: tuple[ProofCheck, ...]
    measured: tuple[BaseMeasured, ...] = ()
    """Both ways to merge, where both were possible."""
    loss_live: float | None = None
    """Of the base with the adapter on it, as it was trained."""
    message: str


class WrittenFile(BaseModel):
    model_config = ConfigDict(frozen=True, defer_build=True)

    name: str
    num_bytes: int
    sha256: str


class ExportFinished(Event):
    kind: Literal["finished"] = "finished"
    export: ExportKind
    folder: str
    files: tuple[WrittenFile, ...]
    commands: tuple[ServeCommand, ...] = ()
    seconds: float


class ExportFailed(Event):
    """Nothing of this kind lies under its name; exports that finished before stay."""

    kind: Literal["failed"] = "failed"
    export: ExportKind
    error: str
    """Class of the error: "MachineError"."""
    message: str
    hint: str = ""


ExportEvent = Annotated[
    ExportPlanned | ExportProgress | ExportWarning | ExportProof | ExportFinished | ExportFailed,
    Field(discriminator="kind"),
]
EXPORT_EVENT_CODEC: TypeAdapter[Any] = TypeAdapter(ExportEvent, config=ConfigDict(defer_build=True))


def export_event_from_json(line: str | bytes) -> ExportEvent:
    """Parse one line of `tuner export --json`. Raises pydantic's ValidationError (a ValueError) for anything else."""
    event: ExportEvent = EXPORT_EVENT_CODEC.validate_json(line)
    return event


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportState:
    """One kind of an export, as far as it is: the fold of its events."""

    planned: ExportPlanned | None = None
    progress: ExportProgress | None = None
    warnings: tuple[ExportWarning, ...] = ()
    proof: ExportProof | None = None
    finished: ExportFinished | None = None
    failed: ExportFailed | None = None

    def after(self, event: ExportEvent) -> "ExportState":
        match event:
            case ExportPlanned():
                return ExportState(planned=event)
            case ExportProgress():
                return replace(self, progress=event)
            case ExportWarning():
                return replace(self, warnings=(*self.warnings, event))
            case ExportProof():
                return replace(self, proof=event)
            case ExportFinished():
                return replace(self, finished=event)
            case ExportFailed():
                return replace(self, failed=event)
            case _:
                assert_never(event)


def export_form(kind: ExportKind) -> ExportForm:
    return next(form for form in EXPORT_FORMS if form.kind == kind)
