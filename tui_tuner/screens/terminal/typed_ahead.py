"""Keys that are typed faster than the app follows: each waits until the one before it has done its work.

A key may open a dialog or move the focus, which takes some turns of the loop. What is typed meanwhile is meant for what
opens, and must never be taken for a key of the station below.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from weakref import WeakKeyDictionary, WeakSet

from textual.app import App, ScreenStackError
from textual.dom import DOMNode
from textual.events import Event
from textual.screen import Screen
from textual.worker import Worker

ASKS = "dialog"
"""How the groups of workers begin that open a dialog: `@work(group="dialog")`, `"dialog.leave"`."""
LOOK_SECONDS = 0.01
PATIENCE_SECONDS = 2.0
"""A key waits no longer than this, whatever hangs: the keyboard must not die."""


class TypedAhead:
    """Takes what is typed; `deliver` hands one event to the app, which gives it to whatever has the focus then."""

    def __init__(self, app: App[None], deliver: Callable[[Event], Awaitable[None]]) -> None:
        self._app = app
        self._deliver = deliver
        self._waiting: deque[Event] = deque()
        self._open: WeakSet[Screen[object]] = WeakSet()
        """Screens that were drawn, and have set their focus."""
        self._asking: WeakKeyDictionary[Worker[object], float] = WeakKeyDictionary()
        """When each was seen first."""
        self._number = 0
        self._is_busy = self._is_looking = False
        self._waits_since: float | None = None

    async def take(self, event: Event) -> None:
        self._waiting.append(event)
        await self._go_on()

    async def _go_on(self) -> None:
        while self._waiting and not self._is_busy:
            if self._must_wait():
                self._look_again()
                return
            self._waits_since = None
            event = self._waiting.popleft()
            self._is_busy = True
            self._number += 1
            asyncio.get_running_loop().call_later(PATIENCE_SECONDS, self._give_up, self._number)
            receiver = self._app.focused or self._app.screen
            await self._deliver(event)
            self._follow(receiver, (self._app, receiver))

    def _follow(self, node: DOMNode, then: tuple[DOMNode, ...]) -> None:
        """Go the way of the event: it bubbles from what had the focus up to the app, where its action is run.

        Then once more from the start, the way of the message that the action may have sent.
        """
        if not node.call_later(self._passed, node, then):
            self._passed(node, then)

    def _passed(self, node: DOMNode, then: tuple[DOMNode, ...]) -> None:
        if node is not self._app and node.parent is not None:
            self._follow(node.parent, then)
        elif then:
            self._follow(then[-1], then[:-1])
        else:
            self._app.call_later(self._done, self._number)

    async def _done(self, number: int) -> None:
        if number == self._number and self._is_busy:
            self._is_busy = False
            await self._go_on()

    def _give_up(self, number: int) -> None:
        """The widget that had the event is gone, with whoever followed it."""
        if number == self._number and self._is_busy:
            self._app.call_later(self._done, number)

    def _must_wait(self) -> bool:
        """Whether something opens that the next key may be meant for."""
        now = asyncio.get_running_loop().time()
        self._waits_since = now if self._waits_since is None else self._waits_since
        if now - self._waits_since > PATIENCE_SECONDS:
            return False
        try:
            screen = self._app.screen
        except ScreenStackError:
            return True
        if screen not in self._open:
            screen.call_after_refresh(self._opened, screen)
            return True
        return not screen.is_modal and self._is_asked(now)

    def _is_asked(self, now: float) -> bool:
        """Whether a worker has begun that will open a dialog; one that never does holds nothing up for long."""
        asking = [one for one in self._app.workers if one.group.startswith(ASKS) and not one.is_finished]
        return any(now - self._asking.setdefault(one, now) < PATIENCE_SECONDS for one in asking)

    def _look_again(self) -> None:
        if not self._is_looking:
            self._is_looking = True
            asyncio.get_running_loop().call_later(LOOK_SECONDS, self._app.call_later, self._looked)

    async def _looked(self) -> None:
        self._is_looking = False
        await self._go_on()

    def _opened(self, screen: Screen[object]) -> None:
        self._open.add(screen)
