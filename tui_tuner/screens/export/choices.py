"""What is to be exported and how, as a value; and the request that follows from it."""

from dataclasses import dataclass, replace
from pathlib import Path

from tui_tuner.exports import DEFAULT_GGUF_TYPE, MERGE_BASES, ExportKind, ExportRequest, MergeBase
from tui_tuner.screens.sources.results import Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """Everything that a person can set on the station."""

    result: Result | None = None
    kinds: frozenset[ExportKind] = frozenset({ExportKind.ADAPTER})
    quantization: str = DEFAULT_GGUF_TYPE
    base: MergeBase = "auto"
    out: str | None = None
    repository: str | None = None
    is_private: bool = True

    def toggled(self, kind: ExportKind) -> "Choices":
        return replace(self, kinds=self.kinds ^ {kind})

    def with_next_base(self) -> "Choices":
        return replace(self, base=MERGE_BASES[(MERGE_BASES.index(self.base) + 1) % len(MERGE_BASES)])

    @property
    def num_folders(self) -> int:
        """With several, each kind gets a folder of its own inside `out`."""
        return len(self.kinds - {ExportKind.HUB})

    @property
    def obstacle(self) -> str:
        """Why nothing can be exported yet; empty where something can."""
        if self.result is None:
            return "Choose what to export first (F4)."
        if not self.kinds:
            return "Choose at least one kind (space)."
        if ExportKind.HUB in self.kinds and not self.repository:
            return "The hub needs a repository, owner/name (h)."
        return ""

    def agrees_with(self, request: ExportRequest) -> bool:
        """Whether a request was for the same source in the same form; which kinds it was for does not matter."""
        source = str(self.result.path) if self.result is not None else ""
        asked = (request.source, request.quantization, request.base, request.out)
        return asked == (source, self.quantization, self.base, self.out)

    def request(self, runs_folder: Path, kinds: frozenset[ExportKind], *, replaces: bool) -> ExportRequest:
        """The request for some of the kinds."""
        assert self.result is not None
        return ExportRequest(
            source=str(self.result.path),
            kinds=tuple(kind for kind in ExportKind if kind in kinds),
            out=self.out,
            quantization=self.quantization,
            base=self.base,
            repository=self.repository if ExportKind.HUB in kinds else None,
            is_private=self.is_private,
            replaces=replaces,
            runs_folder=str(runs_folder),
        )
