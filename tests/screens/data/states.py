"""States of the Data station that are worth a picture. Each takes a folder and gives an app; `KEYS` go there."""

import json
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from tests.screens.settling import until
from tests.screens.world import GPU_BOX, make_app
from tui_tuner.screens.app import TunerApp
from tui_tuner.screens.data.sample_panel import SamplePanel
from tui_tuner.screens.draft import Draft
from tui_tuner.screens.draft_file import save_draft
from tui_tuner.starter import starter_model_folder

HOSTILE = "Where is order 4471? [urgent] [/INST] \x1b[31m"


def empty(folder: Path) -> TunerApp:
    """Nothing is chosen."""
    return make_app(folder, GPU_BOX)


def no_data(folder: Path) -> TunerApp:
    """A model without data."""
    return _app(folder, {"model": {"source": str(starter_model_folder())}})


def clean(folder: Path) -> TunerApp:
    """Rows of many lengths, of which nothing is wrong; the longest do not fit the starter's context."""
    return _app(folder, _tables(_rows(folder, [_talk(number, 1 + number % 9) for number in range(60)])))


def blocked(folder: Path) -> TunerApp:
    """Among them an empty answer, a line that is no JSON, a copy, and text that would steer a terminal."""
    rows = [_talk(number, 1 + number % 9) for number in range(60)]
    rows[3] = _talk(3, 1, HOSTILE)
    rows[4] = json.dumps({"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": ""}]})
    rows[7], rows[9] = "{broken", rows[8]
    return _app(folder, _tables(_rows(folder, rows)))


def failed(folder: Path) -> TunerApp:
    """The file is not there."""
    (folder / "empty").mkdir(exist_ok=True)
    return _app(folder, _tables(folder / "empty" / "gone.jsonl"))


KEYS = {
    "empty": ("4",),
    "no_data": ("4",),
    "clean": ("4",),
    "blocked": ("4", "w"),
    "blocked-checks": ("4", "c"),
    "blocked-lengths": ("4", "minus", "minus"),
    "blocked-fix": ("4", "f"),
    "failed": ("4",),
}
"""What leads there. After "4" wait with `until_checked`, after the others with `until_shown`."""


async def until_checked(pilot: Pilot[None], app: TunerApp) -> None:
    """Wait for all labels of the present draft, and for the row under the cursor."""
    await until(pilot, lambda: (state := app.bench.label_state) and state.stage in ("done", "failed"), seconds=40)
    labels = app.bench.labels.labels_for(app.outlook)
    await until(pilot, lambda: getattr(app.screen, "_labels", None) is labels)
    if labels is not None and labels.num_rows:
        await until_shown(pilot, app, 0)


async def until_shown(pilot: Pilot[None], app: TunerApp, row: int) -> None:
    """Wait until the tokens of a row stand there."""
    panel = app.screen.query_one(SamplePanel)
    await until(pilot, lambda: panel.sample is not None and panel.sample.row == row, seconds=20)


def _app(folder: Path, tables: dict[str, Any]) -> TunerApp:
    save_draft(Draft(tables), folder / "state" / "draft.toml")
    return make_app(folder, GPU_BOX)


def _tables(path: Path) -> dict[str, Any]:
    return {"model": {"source": str(starter_model_folder())}, "data": {"sources": [{"path": str(path)}]}}


def _rows(folder: Path, rows: list[str]) -> Path:
    """Written once: labels that were checked before are found again."""
    text = "\n".join(rows) + "\n"
    path = folder / f"chat-{len(text)}.jsonl"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return path


def _talk(number: int, exchanges: int, question: str = "") -> str:
    turns = []
    for turn in range(exchanges):
        turns.append({"role": "user", "content": question or f"Where is order {number}{turn}?"})
        turns.append({"role": "assistant", "content": f"Order {number}{turn} left Leeds and is due today."})
    return json.dumps({"messages": turns})
