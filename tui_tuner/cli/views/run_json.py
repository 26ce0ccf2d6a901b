"""A run as one JSON object for machines: its summary and everything its events add up to."""

import json
from typing import Any

from pydantic import TypeAdapter

from tui_tuner.events import RunState
from tui_tuner.journal import RunSummary

_SUMMARY: TypeAdapter[Any] = TypeAdapter(RunSummary)
_STATE: TypeAdapter[Any] = TypeAdapter(RunState)


def run_json(summary: RunSummary, state: RunState) -> str:
    parts = {
        "summary": _SUMMARY.dump_python(summary, mode="json"),
        **_STATE.dump_python(state, mode="json", exclude={"savepoints"}),
    }
    return json.dumps(parts, indent=2, ensure_ascii=False)
