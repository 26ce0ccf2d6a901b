"""Finds out what an export would write by dry runs in a child process, and remembers it. One question at a time."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from tui_tuner.exports import ExportFailed, ExportKind, ExportState
from tui_tuner.hosting.export_job import ExportJob
from tui_tuner.screens.export.choices import Choices

Key = tuple[str, ExportKind, str, str, str | None, str | None]


class ExportPlanner:
    """`wanted` says what is chosen; `poll` moves on and says whether something new is known. Both are cheap."""

    def __init__(self, folder: Path, runs_folder: Path) -> None:
        self._folder, self._runs_folder = folder, runs_folder
        self._known: dict[Key, ExportState] = {}
        self._asked: dict[ExportKind, Key] = {}
        self._choices = Choices()
        self._job: ExportJob | None = None

    @property
    def is_busy(self) -> bool:
        return self._job is not None

    def states(self) -> Mapping[ExportKind, ExportState]:
        """What is known of each kind under the present choices."""
        keys = {kind: self._key(kind) for kind in ExportKind}
        return {kind: self._known[key] for kind, key in keys.items() if key in self._known}

    def wanted(self, choices: Choices) -> None:
        """Plan for these choices from now on."""
        self._choices = choices
        if self._job is not None and any(self._key(kind) != key for kind, key in self._asked.items()):
            self.close()

    def poll(self) -> bool:
        """Take what came, and ask for what is still unknown.

        Raises:
            TunerError: no process can be started.
        """
        is_new = False
        if self._job is not None:
            for event in self._job.poll():
                key = self._asked.get(event.export)
                if key is not None:
                    self._known[key] = self._known.get(key, ExportState()).after(event)
                    is_new = True
            if self._job.is_over:
                self._job = None
                self._settle()
                return True
        if self._job is None and (kinds := self._unknown()):
            self._asked = {kind: self._key(kind) for kind in kinds}
            # Whether something is replaced is asked when it is written; the plan is the same.
            request = self._choices.request(self._runs_folder, frozenset(kinds), replaces=True)
            if self._choices.out is not None and self._choices.num_folders > 1 and len(kinds) == 1:
                request = request.model_copy(update={"out": str(Path(self._choices.out) / kinds[0])})
            self._job = ExportJob.start(request, self._folder, is_dry_run=True)
        return is_new

    def forget_failures(self) -> None:
        self._known = {key: state for key, state in self._known.items() if state.failed is None}

    def close(self) -> None:
        if self._job is not None:
            self._job.cancel()
            self._job = None

    def _settle(self) -> None:
        """A job that ended without a word about a kind leaves a word."""
        states = {kind: self._known.get(key, ExportState()) for kind, key in self._asked.items()}
        if any(state.failed is not None for state in states.values()):
            return  # the kinds after the one that failed were not looked at: they are asked for again
        for kind, state in states.items():
            if state.planned is None:
                failed = ExportFailed(export=kind, error="", message="It could not be planned.", hint="")
                self._known[self._asked[kind]] = replace(state, failed=failed)

    def _unknown(self) -> list[ExportKind]:
        """The kinds that are chosen, can be planned, and were not."""
        if self._choices.result is None:
            return []
        unknown = [kind for kind in ExportKind if kind in self._choices.kinds and self._key(kind) not in self._known]
        return [kind for kind in unknown if kind != ExportKind.HUB or self._choices.repository]

    def _key(self, kind: ExportKind) -> Key:
        chosen = self._choices
        source = str(chosen.result.path) if chosen.result else ""
        out = f"{chosen.out} {chosen.num_folders > 1}" if chosen.out else None
        return source, kind, chosen.quantization, chosen.base, out, chosen.repository
