"""What a person may ask of a running run: a mailbox that front ends fill and the engine empties between steps.

It knows no torch and no signals; turning Ctrl-C into `stop()` is the command line's business.
"""

import math
import queue
from dataclasses import dataclass
from typing import Literal, Protocol, assert_never

ControlAction = Literal["pause", "resume", "stop", "save", "evaluate", "sample", "learning_rate", "abort"]


@dataclass(frozen=True, slots=True)
class ControlRequest:
    """One wish."""

    action: ControlAction
    value: float | None = None
    """For "learning_rate": the factor that the schedule is multiplied by from now on."""


class RunControls(Protocol):
    """What screens and commands ask of a run, wherever it is carried out."""

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def save_now(self) -> None: ...

    def evaluate_now(self) -> None: ...

    def sample_now(self) -> None: ...

    def set_learning_rate(self, factor: float) -> None:
        """Multiply the schedule by `factor` from now on; raises ValueError where it is not a number above 0."""

    def stop(self) -> None:
        """Finish the step, save, end."""

    def abort(self) -> None:
        """End without saving."""


class Controls:
    """Any thread, and any signal handler, may ask; only the engine's thread may `poll` and `wait`.

    `SimpleQueue.put` is re-entrant, so a handler that interrupts `poll` cannot deadlock with it.
    """

    def __init__(self) -> None:
        self._requests: queue.SimpleQueue[ControlRequest] = queue.SimpleQueue()
        self._arrived_while_waiting: list[ControlRequest] = []
        self._is_stopping = False
        self._is_aborting = False

    def pause(self) -> None:
        self._requests.put(ControlRequest("pause"))

    def resume(self) -> None:
        self._requests.put(ControlRequest("resume"))

    def stop(self) -> None:
        """Finish the step, save, end. Cannot be taken back."""
        self._is_stopping = True
        self._requests.put(ControlRequest("stop"))

    def save_now(self) -> None:
        self._requests.put(ControlRequest("save"))

    def evaluate_now(self) -> None:
        self._requests.put(ControlRequest("evaluate"))

    def sample_now(self) -> None:
        self._requests.put(ControlRequest("sample"))

    def set_learning_rate(self, factor: float) -> None:
        """Multiply the schedule by `factor` from now on: 0.5 is half of what the recipe would give.

        Raises:
            ValueError: the factor is not a number above 0.
        """
        if not (math.isfinite(factor) and factor > 0):
            raise ValueError(f"learning-rate factor is {factor}; a number above 0 is expected")
        self._requests.put(ControlRequest("learning_rate", factor))

    def abort(self) -> None:
        """End without saving. What was saved before stays valid."""
        self._is_aborting = self._is_stopping = True
        self._requests.put(ControlRequest("abort"))

    def ask(self, request: ControlRequest) -> None:
        """Pass on a wish that came as a value.

        Raises:
            ValueError: it is a learning rate without a factor, or with a bad one.
        """
        match request.action:
            case "pause":
                self.pause()
            case "resume":
                self.resume()
            case "save":
                self.save_now()
            case "evaluate":
                self.evaluate_now()
            case "sample":
                self.sample_now()
            case "learning_rate":
                self.set_learning_rate(math.nan if request.value is None else request.value)
            case "stop":
                self.stop()
            case "abort":
                self.abort()
            case _:
                assert_never(request.action)

    @property
    def is_stopping(self) -> bool:
        """Whether `stop` or `abort` was asked for, polled or not."""
        return self._is_stopping

    @property
    def is_aborting(self) -> bool:
        return self._is_aborting

    def poll(self) -> tuple[ControlRequest, ...]:
        """All wishes since the last poll, oldest first; the same wish several times in a row counts once."""
        arrived, self._arrived_while_waiting = self._arrived_while_waiting, []
        while True:
            try:
                arrived.append(self._requests.get_nowait())
            except queue.Empty:
                break
        return tuple(one for place, one in enumerate(arrived) if place == 0 or one != arrived[place - 1])

    def wait(self, timeout: float) -> bool:
        """Sleep until a wish arrives or `timeout` seconds are over; true where `poll` has something to give."""
        if not self._arrived_while_waiting:
            try:
                self._arrived_while_waiting.append(self._requests.get(timeout=timeout))
            except queue.Empty:
                return False
        return True
