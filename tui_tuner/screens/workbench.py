"""The desk under every station: the draft with its history, its file, and what follows from it.

It draws nothing; `on_change` is told after every change, and may be called from a thread when facts arrive.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tui_tuner.errors import TunerError
from tui_tuner.screens.draft import Draft, DraftHistory
from tui_tuner.screens.draft_file import DRAFT_NAME, load_draft, save_draft
from tui_tuner.screens.environment import Environment
from tui_tuner.screens.facts_desk import FactsDesk
from tui_tuner.screens.outlook import Outlook, look_ahead

if TYPE_CHECKING:
    from tui_tuner.screens.data.desk import LabelDesk
    from tui_tuner.screens.data.labels import LabelState


class Workbench:
    """One draft, and the outlook over it. `on_facts` is called from a reading thread and must only post a message."""

    def __init__(
        self, environment: Environment, on_facts: Callable[[], None], on_error: Callable[[TunerError], None]
    ) -> None:
        self._environment = environment
        self._on_error = on_error
        self._path: Path = environment.state_folder / DRAFT_NAME
        self._outlook: Outlook | None = None
        self._on_facts = on_facts
        self._labels: LabelDesk | None = None
        self.desk = FactsDesk(environment, on_facts)
        self.history = DraftHistory(self._restored())

    @property
    def draft(self) -> Draft:
        return self.history.present

    @property
    def outlook(self) -> Outlook:
        """What follows from the draft, as far as it is known now."""
        if self._outlook is None:
            facts, is_reading_model, is_reading_data = self.desk.facts(self.draft)
            ahead = look_ahead(self.draft, facts)
            self._outlook = replace(ahead, is_reading_model=is_reading_model, is_reading_data=is_reading_data)
        return self._outlook

    @property
    def labels(self) -> "LabelDesk":
        """The desk that has labels checked. It is made when it is first asked for: it needs numpy."""
        if self._labels is None:
            from tui_tuner.screens.data.desk import LabelDesk

            self._labels = LabelDesk(self._environment, self._on_facts)
        return self._labels

    @property
    def label_state(self) -> "LabelState | None":
        """How the labels of the present draft stand; None where no labels were looked at yet."""
        return self._labels.state(self.outlook) if self._labels is not None else None

    def change(self, draft: Draft, path: tuple[str | int, ...] = ()) -> None:
        """Make `draft` the present one and keep it on disk; `path` is the field that was changed, if it is one."""
        self.history.change(draft, path, self._environment.clock())
        self._changed()

    def undo(self) -> bool:
        """Go one change back; false where there is none."""
        is_done = self.history.undo()
        self._changed()
        return is_done

    def redo(self) -> bool:
        is_done = self.history.redo()
        self._changed()
        return is_done

    def forget_outlook(self) -> None:
        """Facts arrived: the next look computes anew."""
        self._outlook = None

    def _changed(self) -> None:
        self._outlook = None
        try:
            save_draft(self.draft, self._path)
        except TunerError as error:
            self._on_error(error)

    def _restored(self) -> Draft:
        if not self._path.exists():
            return Draft()
        try:
            return load_draft(self._path)
        except TunerError as error:
            self._on_error(error)
            return Draft()
