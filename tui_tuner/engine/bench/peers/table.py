"""What a comparison found, as values, as JSON and as Markdown. Nothing here measures."""

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from tui_tuner.engine.bench.peers.outside.peer_runner.job import Status

GIB = 2**30


class TableValue(BaseModel):
    """Immutable and JSON-able. Tables of an older version are read as far as they are known."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class SystemRow(TableValue):
    """One system in one case, in one of its ways."""

    system: str
    """As a person reads it: with its way, where it has several."""
    status: Status | str
    """"done" has figures; "wrong" computes something else than the reference, so that its speed does not count."""
    reason: str = ""
    loss: float | None = None
    """Of the check, before any step."""
    gradient_cosine: float | None = None
    """Between all LoRA gradients of the check and the reference's."""
    tokens_per_second: float | None = None
    """Without padding."""
    padded_tokens_per_second: float | None = None
    slowest_and_fastest: tuple[float, float] | None = None
    """Tokens per second of the rounds."""
    milliseconds: float | None = None
    """Median of the steps."""
    peak_bytes: int | None = None
    reserved_bytes: int | None = None
    device_bytes: int | None = None
    load_seconds: float | None = None
    """From the call that loads the model to adapters on the device."""
    first_step_seconds: float | None = None
    """From the start of the process."""
    share_of_limit: float | None = None
    ratios: dict[str, float] = {}
    """Tokens per second of each row of ours over this row's, by the name of ours; only where both have figures."""
    is_fastest_way: bool = False
    """Of several ways of one system."""
    longest: int | None = None
    """Tokens of the longest sequence that was trained, where that is what was looked for."""
    versions: dict[str, str] = {}
    note: str = ""


class CaseTable(TableValue):
    """All systems in one case."""

    case: str
    words: str
    """The setting, in words."""
    device_name: str
    moment: str
    reference_loss: float | None = None
    has_exact_reference: bool = False
    """Whether that was computed in float32."""
    limit_tokens_per_second: float | None = None
    limit_teraflops: float | None = None
    rows: tuple[SystemRow, ...]


def merged(old: tuple[CaseTable, ...], new: CaseTable) -> tuple[CaseTable, ...]:
    """A case that was measured again replaces what it was: figures of two runs are never set side by side."""
    names = [one.case for one in old]
    if new.case not in names:
        return (*old, new)
    return tuple(new if one.case == new.case else one for one in old)


def read_tables(path: Path) -> tuple[CaseTable, ...]:
    """Nothing where there is no file. Raises ValueError where it is another one."""
    if not path.exists():
        return ()
    return tuple(CaseTable.model_validate(one) for one in json.loads(path.read_text(encoding="utf-8")))


def tables_json(tables: tuple[CaseTable, ...]) -> str:
    """The content of `peers.json`."""
    return json.dumps([one.model_dump(mode="json") for one in tables], indent=1) + "\n"


def markdown(table: CaseTable) -> str:
    """A heading, a sentence and a table."""
    ours = list(dict.fromkeys(name for row in table.rows for name in row.ratios))
    heads = ["system", *BEFORE_RATIOS, *(f"{name} is" for name in ours), *AFTER_RATIOS]
    if any(row.longest is not None for row in table.rows):
        heads = ["system", "longest context", "peak GiB", "remarks"]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    lines += ["| " + " | ".join(_cells(row, heads)) + " |" for row in table.rows]
    return "\n".join([f"## {table.case}", "", _sentence(table), "", *lines, ""])


def _sentence(table: CaseTable) -> str:
    said = f"{table.words}. {table.device_name}, {table.moment}."
    if table.limit_tokens_per_second is not None and table.limit_teraflops is not None:
        said += (
            f" Products and attention alone allow {table.limit_tokens_per_second:,.0f} tok/s"
            f" ({table.limit_teraflops:,.{0 if table.limit_teraflops >= 10 else 2}f} TFLOP/s)."
        )
    if table.reference_loss is not None:
        said += f" Reference loss {table.reference_loss:.4f}{' in float32' if table.has_exact_reference else ''}."
    return said


BEFORE_RATIOS = ("tok/s", "ms a step")
AFTER_RATIOS = ("of the limit", "peak GiB", "device GiB", "first step", "loss", "cosine", "remarks")


def _cells(row: SystemRow, heads: list[str]) -> list[str]:
    cells = {
        "system": row.system,
        "tok/s": _number(row.tokens_per_second, 0),
        "ms a step": _number(row.milliseconds, 1),
        **{f"{name} is": f"{ratio:.2f} x" for name, ratio in row.ratios.items()},
        "of the limit": "" if row.share_of_limit is None else f"{100 * row.share_of_limit:.0f} %",
        "peak GiB": _gib(row.peak_bytes),
        "device GiB": _gib(row.device_bytes),
        "first step": "" if row.first_step_seconds is None else f"{row.first_step_seconds:.1f} s",
        "loss": _number(row.loss, 4),
        "cosine": _number(row.gradient_cosine, 5),
        "longest context": "" if row.longest is None else f"{row.longest:,}",
        "remarks": _remark(row),
    }
    return [cells.get(head, "") for head in heads]


def _remark(row: SystemRow) -> str:
    if row.status == "done":
        return ", ".join(filter(None, [row.note, "its fastest way" if row.is_fastest_way else ""]))
    said = f"{row.status}: {row.reason}" if row.reason else row.status
    return said.replace("|", "/").replace("\n", " ")


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:,.{digits}f}"


def _gib(size: int | None) -> str:
    return "" if size is None else f"{size / GIB:.2f}"
