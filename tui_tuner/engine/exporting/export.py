"""The one way to export: a request in, typed events out. Every kind is planned and checked before any is written."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

from tui_tuner.engine.exporting.adapter_copy import export_adapter
from tui_tuner.engine.exporting.gguf_files.adapter import export_lora_gguf
from tui_tuner.engine.exporting.gguf_files.export import export_gguf, written_type
from tui_tuner.engine.exporting.gguf_files.writing import gguf_layout
from tui_tuner.engine.exporting.hub import HubApi, check_repository, upload
from tui_tuner.engine.exporting.measuring import LiveAnswers, ask_live, export_device
from tui_tuner.engine.exporting.merged import MergeChoice, choose_base, chosen_weights, export_merged
from tui_tuner.engine.exporting.model_weights import ModelWeights
from tui_tuner.engine.exporting.ollama.export import export_ollama
from tui_tuner.engine.exporting.planner import ExportPlanner
from tui_tuner.engine.exporting.proof_rows import ProofRows, proof_rows
from tui_tuner.engine.exporting.source import open_source
from tui_tuner.engine.library_output import library_output_to
from tui_tuner.errors import TunerError
from tui_tuner.exports import (
    ExportEvent,
    ExportFailed,
    ExportKind,
    ExportProgress,
    ExportRequest,
    ExportStage,
    ExportWarning,
)


def export(request: ExportRequest, *, is_dry_run: bool = False, api: HubApi | None = None) -> Iterator[ExportEvent]:
    """Carry a request out, kind by kind; a dry run ends when all is planned.

    Args:
        api: what talks to the hub; huggingface_hub's own when None.

    Raises:
        TunerError: after an ExportFailed event says so. What was finished before stays.
    """
    kinds = [kind for kind in ExportKind if kind in request.kinds]
    at = kinds[0]
    try:
        with library_output_to(None):
            planner = ExportPlanner(request, open_source(request))
            for at in kinds:
                yield planner.plan(at)
            if is_dry_run:
                return
            work = _Work(planner, api)
            for at in kinds:
                yield from work.carry_out(at)
    except TunerError as error:
        yield ExportFailed(export=at, error=type(error).__name__, message=error.message, hint=error.hint)
        raise


@dataclass(slots=True)
class _Merging:
    """What is measured and chosen once for all kinds that merge."""

    live: LiveAnswers
    rows: ProofRows
    choice: MergeChoice
    weights: ModelWeights


@dataclass(slots=True)
class _Work:
    """A planned request under way."""

    planner: ExportPlanner
    api: HubApi | None
    merging: _Merging | None = None

    def carry_out(self, kind: ExportKind) -> Iterator[ExportEvent]:
        """Write one kind."""
        folder, facts = self.planner.folder(kind), self._facts()
        match kind:
            case ExportKind.ADAPTER:
                yield from export_adapter(self.planner.source, folder, facts)
            case ExportKind.LORA_GGUF:
                yield from export_lora_gguf(self.planner.source, folder, facts)
            case ExportKind.HUB:
                yield from self._upload()
            case ExportKind.MERGED:
                yield from self._merge(folder)
            case ExportKind.GGUF | ExportKind.OLLAMA:
                yield from self._write_gguf(kind, folder)

    def _merge(self, folder: Path) -> Iterator[ExportEvent]:
        yield from self._weights(ExportKind.MERGED)
        assert self.merging is not None
        one = self.merging
        yield from export_merged(self.planner.source, one.weights, one.choice, one.live, one.rows, folder)

    def _write_gguf(self, kind: ExportKind, folder: Path) -> Iterator[ExportEvent]:
        source, quantization = self.planner.source, self.planner.request.quantization
        weights = yield from self._weights(kind)
        gguf = (gguf_layout(source, weights, written_type(quantization)), weights, quantization)
        if kind == ExportKind.GGUF:
            yield from export_gguf(source, gguf, folder, self._facts())
        else:
            yield from export_ollama(source, self.planner.templates[kind], gguf, folder, self._facts())

    def _weights(self, kind: ExportKind) -> Generator[ExportEvent, None, ModelWeights]:
        """The merged tensors, measured and chosen the first time that they are needed; those of a whole model as is."""
        source = self.planner.source
        if source.weights is None:
            return chosen_weights(source, "16bit", self.planner.request.device)
        if self.merging is None:
            self.merging = yield from self._measure(kind)
        return self.merging.weights

    def _measure(self, kind: ExportKind) -> Generator[ExportEvent, None, _Merging]:
        source, request = self.planner.source, self.planner.request
        rows = yield from self._proof_rows(kind)
        yield ExportProgress(export=kind, stage=ExportStage.MEASURING, detail=f"the adapter on {rows.what}")
        live = ask_live(source, rows.examples, export_device(request.device))
        choice = choose_base(request.base, live)
        return _Merging(live, rows, choice, chosen_weights(source, choice.base, request.device))

    def _proof_rows(self, kind: ExportKind) -> Generator[ExportEvent, None, ProofRows]:
        labelling = proof_rows(self.planner.source)
        while True:
            try:
                step = next(labelling)
            except StopIteration as end:
                rows: ProofRows = end.value
                break
            yield ExportProgress(
                export=kind, stage=ExportStage.CHECKING, done=step.done, total=step.total, unit="bytes",
                detail="labelling the held-out rows",
            )  # fmt: skip
        if rows.problem:
            yield ExportWarning(
                export=kind,
                message=f"The run's own rows cannot be used ({rows.problem}), so that {rows.what} are compared.",
            )
        return rows

    def _upload(self) -> Iterator[ExportEvent]:
        from huggingface_hub import HfApi

        request = self.planner.request
        api: HubApi = self.api if self.api is not None else HfApi()
        repository = check_repository(request.repository)
        yield from upload(self.planner.uploaded(), repository, is_private=request.is_private, api=api)

    def _facts(self) -> dict[str, object]:
        source = self.planner.source
        merged = self.merging.choice.base if self.merging is not None else None
        base = {"name": source.base_name, "fingerprint": source.base_fingerprint, "merged_into": merged}
        return {"source": source.name, "base": base}
