"""The Doctor screen: all that a run needs of this machine, each with its fix. Looks in a thread, shows as it finds."""

import locale
import os
from collections.abc import Iterator
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static
from textual.worker import get_current_worker

from tui_tuner.diagnosis.all_checks import Surroundings
from tui_tuner.diagnosis.check import Check
from tui_tuner.diagnosis.machine import DiskWish
from tui_tuner.planning.hub.cache import hub_cache_folder
from tui_tuner.screens.doctor.report import advice, all_advice, check_line, report_text, verdict
from tui_tuner.screens.doctor.why import check_help
from tui_tuner.screens.look.inks import Inks, inks_of
from tui_tuner.screens.shown import shown_line
from tui_tuner.screens.station import Station
from tui_tuner.screens.widgets.line_list import LineList
from tui_tuner.starter import model_title


class CheckMade(Message):
    """One thing was looked at."""

    def __init__(self, check: Check) -> None:
        self.check = check
        super().__init__()


class ChecksDone(Message):
    """All was looked at."""


class DoctorScreen(Station):
    """The checks, and what to do about the one under the cursor."""

    CSS_PATH = "doctor.tcss"
    HELP = """\
All that a run needs: packages that fit each other and the GPU, who holds the GPU's memory, room on the disks for
checkpoints and for a merge of the chosen model, the terminal, and what becomes of a run when you log out.

`tuner doctor` prints the same; `tuner doctor --kernels` tests the compute kernels on the GPU as well."""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("w", "next_problem", "next problem", id="doctor.next"),
        Binding("r", "look_again", "look again", id="doctor.again"),
        Binding("y", "copy", "copy report", id="doctor.copy"),
        Binding("escape", "back", "back", id="doctor.back"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._checks: list[Check] = []
        self._is_done = False
        self._inks: Inks | None = None

    def compose_body(self) -> Iterator[Widget]:
        with Vertical(classes="doctor-column"):
            with Vertical(classes="doctor-left"):
                with Vertical(classes="panel doctor-list") as panel:
                    panel.border_title = Content("Doctor")
                    yield LineList(self._line, name="checks", classes="-picker")
                with VerticalScroll(classes="panel doctor-all", can_focus=False) as panel:
                    panel.border_title = Content("All there is to do")
                    yield Static(classes="doctor-all-text")
            with VerticalScroll(classes="panel doctor-advice", can_focus=False):
                yield Static(classes="doctor-text")

    def help_text(self) -> str:
        return check_help(self._current, self.HELP or "")

    def on_mount(self) -> None:
        self.query_one(LineList).focus()
        self.action_look_again()

    def wake(self) -> None:
        self._inks = inks_of(self.app.theme_variables)
        self._show()

    @work(thread=True, exclusive=True, group="doctor", exit_on_error=False)
    def _look(self, surroundings: Surroundings) -> None:
        worker = get_current_worker()
        for check in self.tuner.environment.find_checks(surroundings):
            if worker.is_cancelled:
                return
            self.post_message(CheckMade(check))
        self.post_message(ChecksDone())

    def _surroundings(self) -> Surroundings:
        environment = self.tuner.environment
        return Surroundings(
            runs_folder=environment.runs_folder,
            hub_cache=environment.hub_cache or hub_cache_folder(),
            terminal_size=os.terminal_size(self.app.size),
            encoding=locale.getpreferredencoding(do_setlocale=False),
            variables=dict(os.environ),
            wish=self._wish(),
            probe=environment.probe,
        )

    def _wish(self) -> DiskWish | None:
        plan = self.tuner.outlook.plan
        if plan is None:
            return None
        from tui_tuner.planning.preflight import bytes_needed

        name = model_title(plan.recipe.model.source)
        return DiskWish(model=name, run_bytes=bytes_needed(plan), merge_bytes=2 * plan.model.num_parameters)

    @on(CheckMade)
    def found(self, message: CheckMade) -> None:
        self._checks.append(message.check)
        self._show()

    @on(ChecksDone)
    def done(self) -> None:
        self._is_done = True
        self._show()

    @on(LineList.Moved)
    def moved(self) -> None:
        self._show_advice()

    def _show(self) -> None:
        if not self.has_body:
            return
        self.query_one(LineList).redraw(len(self._checks))
        self.query_one(".doctor-all-text", Static).update(
            all_advice(self._checks, self.glyphs, self._current_inks()) if self._is_done else Content("looking…")
        )
        self.show_readout(shown_line(verdict(self._checks, is_done=self._is_done)))
        self._show_advice()
        self.refresh_bindings()

    def _show_advice(self) -> None:
        check, inks = self._current, self._current_inks()
        self.query_one(".doctor-advice").border_title = Content(check.group if check is not None else "")
        text = self.query_one(".doctor-text", Static)
        text.update(advice(check, self.glyphs, inks) if check is not None else Content("looking…"))

    @property
    def _current(self) -> Check | None:
        cursor = self.query_one(LineList).cursor if self.has_body else 0
        return self._checks[cursor] if cursor < len(self._checks) else None

    def _line(self, index: int, width: int) -> Text:
        is_first = index == 0 or self._checks[index - 1].group != self._checks[index].group
        return check_line(self._checks[index], width, self.glyphs, self._current_inks(), is_first_of_group=is_first)

    def _current_inks(self) -> Inks:
        return self._inks or inks_of(self.app.theme_variables)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        if action == "next_problem":
            return True if self._problems() else None
        return True

    def _problems(self) -> list[int]:
        return [place for place, check in enumerate(self._checks) if check.status in ("warning", "fail")]

    def action_next_problem(self) -> None:
        listed = self.query_one(LineList)
        problems = self._problems()
        listed.cursor = next((place for place in problems if place > listed.cursor), problems[0])

    def action_look_again(self) -> None:
        self._checks, self._is_done = [], False
        self._look(self._surroundings())

    def action_copy(self) -> None:
        from tui_tuner.screens.terminal.clipboard import copy_text

        copy_text(self.app, report_text(self._checks))

    def action_back(self) -> None:
        self.app.pop_screen()
