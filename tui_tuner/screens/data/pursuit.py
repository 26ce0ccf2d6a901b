"""The thread that follows one request for labels: starts its process, reads what it writes, fits its longer rows."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel

from tui_tuner.data.lengths.settling import settle_max_length
from tui_tuner.data.looking.child import LookProcess, forget_old_looks, is_complete
from tui_tuner.data.looking.files import UNUSABLE, read_state
from tui_tuner.data.looking.look import Fit, Look
from tui_tuner.data.looking.request import FitRequest, fit_name, look_key
from tui_tuner.errors import DataError, MachineError, TunerError
from tui_tuner.screens.data.labels import Labels, count_up
from tui_tuner.screens.data.wish import LabelWish

LOOK_SECONDS = 0.1
FIRST_SECONDS = 0.3
"""Between two readings of what is written; at least `PATIENCE` times what the last reading took."""
PATIENCE = 10.0


class Ended(Exception):
    """The labels are no longer wanted, or others of the same rows are."""


class Pursuit(threading.Thread):
    """`labels` is replaced as a whole, and read from other threads. `on_change` hears when a stage begins or ends."""

    def __init__(self, wish: LabelWish, folder: Path, on_change: Callable[[], None]) -> None:
        super().__init__(daemon=True, name="labels")
        self.wish = wish
        self.labels = Labels(
            stage="reading",
            policies=wish.policies,
            tokenizer_folder=wish.tokenizer_folder,
            num_sources=len(wish.request.data.sources),
        )
        self._folder, self._on_change = folder, on_change
        self._is_over = threading.Event()
        self._is_woken = threading.Event()
        self._next_reading = 0.0

    def end(self) -> None:
        """Kill the process; the thread ends soon after."""
        self._is_over.set()
        self._is_woken.set()

    def fit_anew(self, wish: LabelWish) -> None:
        """The same rows are wanted, perhaps under other policies or another max length."""
        if not wish.is_same_as(self.wish):
            self.wish = wish
            self._is_woken.set()

    def run(self) -> None:
        try:
            self._pursue()
        except Ended:
            if self.labels.stage != "done":
                self._publish(replace(self.labels, stage="stopped"))
        except TunerError as error:
            self._publish(replace(self.labels, stage="failed", failure=error))
        except OSError as error:
            failure = MachineError(f"The labels cannot be read: {error.strerror}.", "Look again (r).")
            self._publish(replace(self.labels, stage="failed", failure=failure))

    def _pursue(self) -> None:
        folder = self._folder / look_key(self.wish.request)
        forget_old_looks(self._folder, folder.name)
        self._write(folder, self.wish.request, self._show_rows, self._is_over)
        look = Look(folder)
        while not self._is_over.is_set():
            self._is_woken.clear()
            wish = self.wish
            try:
                self._fit(look, wish)
            except Ended:
                continue
            self._is_woken.wait()
        raise Ended

    def _fit(self, look: Look, wish: LabelWish) -> None:
        usable = look.lengths[look.kinds != UNUSABLE]
        length = settle_max_length(wish.data, usable, look.has_documents, wish.context_length)
        labels = replace(
            self.labels,
            look=look,
            fit=None,
            counted=count_up(look, None),
            settled_length=length,
            policies=wish.policies,
            failure=None,
        )
        request = FitRequest(max_length=length, over_length=wish.data.over_length)
        folder = look.folder / fit_name(request)
        if look.curve.longest > length:
            self._publish(replace(labels, stage="fitting", share_done=0.0))
            self._write(folder, request, self._show_share, self._is_woken)
            fit = Fit(folder, length, look.num_rows)
            labels = replace(labels, fit=fit, counted=count_up(look, fit))
        self._publish(replace(labels, stage="done", share_done=1.0))

    def _write(
        self, folder: Path, request: BaseModel, show: Callable[[Path], None], is_unwanted: threading.Event
    ) -> None:
        """Have the folder written, unless it is.

        Raises:
            Ended: it is no longer wanted.
            DataError: it cannot be written.
        """
        if is_complete(folder):
            return
        process = LookProcess(folder, request)
        try:
            while process.is_running:
                show(folder)
                if is_unwanted.wait(LOOK_SECONDS):
                    raise Ended
        finally:
            process.end()
        process.settle()
        state = read_state(folder)
        if state is not None and state.stage == "failed":
            raise DataError(state.message, state.hint)

    def _show_rows(self, folder: Path) -> None:
        started = time.monotonic()
        if started < self._next_reading:
            return
        look = Look(folder)
        self.labels = replace(self.labels, look=look, counted=count_up(look, None), share_done=look.share_done)
        spent = time.monotonic() - started
        self._next_reading = time.monotonic() + max(FIRST_SECONDS, PATIENCE * spent)

    def _show_share(self, folder: Path) -> None:
        state = read_state(folder)
        if state is not None:
            self.labels = replace(self.labels, share_done=state.bytes_done / max(1, state.bytes_total))

    def _publish(self, labels: Labels) -> None:
        self.labels = labels
        self._on_change()
