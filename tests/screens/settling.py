"""Waits in tests of the app until what is read in threads has arrived."""

from collections.abc import Callable

from textual.pilot import Pilot

from tests.screens.golden import screen_text
from tui_tuner.screens.app import TunerApp


async def until(pilot: Pilot[None], holds: Callable[[], object], seconds: float = 8.0) -> None:
    """Wait until something holds; fail where it never does."""
    for _ in range(round(seconds / 0.02)):
        await pilot.pause(0.02)
        if holds():
            await pilot.pause()
            return
    raise AssertionError(f"it never came to that:\n{screen_text(pilot.app)}")


async def until_planned(pilot: Pilot[None], app: TunerApp) -> None:
    """Wait for the plan of the present draft."""
    await until(pilot, lambda: app.outlook.plan is not None and not app.outlook.is_reading_data)
