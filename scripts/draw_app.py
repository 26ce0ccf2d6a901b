"""Draws the real app as the pictures of the README, over a real run of the starter: python -m scripts.draw_app

Trains the starter in a folder of its own (about a minute), then opens the app over it. Nothing else is read or written.
"""

import asyncio
import re
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import tomlkit
from textual.pilot import Pilot

from tui_tuner.controls import Controls
from tui_tuner.engine.run import run
from tui_tuner.screens.app import TunerApp
from tui_tuner.screens.environment import real_environment
from tui_tuner.starter import starter_recipe, starter_recipe_text

IMAGES = Path(__file__).parents[1] / "docs" / "images"
SIZE = (120, 36)
PATIENCE = 60.0


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recipe = starter_recipe(str(folder / "runs"))
        for _ in run(recipe, Controls(), run_id="starter-demo"):
            pass
        state = folder / "state"
        state.mkdir()
        (state / "draft.toml").write_text(tomlkit.dumps(tomlkit.parse(starter_recipe_text())), encoding="utf-8")
        asyncio.run(_draw(folder))


async def _draw(folder: Path) -> None:
    environment = replace(
        real_environment(folder / "runs"),
        state_folder=folder / "state",
        config_folder=folder / "config",
        home=folder,
        glyphs="braille",
        knows_utf8=True,
    )
    app = TunerApp(environment, attach_to=(folder / "runs", "starter-demo"))
    async with app.run_test(size=SIZE) as pilot:
        await _until(pilot, lambda: app.run_desk.view is not None and app.run_desk.view.state.finished is not None)
        await pilot.pause(1.5)
        _save(app, "app-train")
        await pilot.press("4")
        await _until(pilot, lambda: (checked := app.bench.label_state) is not None and checked.stage == "done")
        await pilot.pause(1.5)
        _save(app, "app-data")


async def _until(pilot: Pilot[None], holds: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError("the app does not come to what is to be drawn")
        await pilot.pause(0.1)


def _save(app: TunerApp, name: str) -> None:
    """As SVG in whatever monospace font the reader has."""
    picture = app.export_screenshot(title="tuner", simplify=True)
    picture = re.sub(r"@font-face\s*\{.*?\}\s*", "", picture, flags=re.DOTALL)
    picture = re.sub(r"terminal-\d+", "terminal", picture)
    picture = picture.replace("Fira Code, monospace", "ui-monospace, Menlo, Consolas, monospace")
    IMAGES.mkdir(parents=True, exist_ok=True)
    (IMAGES / f"{name}.svg").write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    main()
