"""What a bench of one recipe found: speed beside the machine's limit, memory and speed beside the plan's estimate."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from tui_tuner import units
from tui_tuner.cli.views.blocks import block, columns, facts, joined, outside

if TYPE_CHECKING:
    from tui_tuner.engine.bench.report import BenchReport


def bench_view(report: "BenchReport") -> RenderableType:
    plan, schedule = report.plan, report.plan.schedule
    setting = f"{plan.dtype}, {plan.quantization}" if plan.quantization != "none" else plan.dtype
    batch = f"{schedule.micro_batch_size} x {schedule.gradient_accumulation} rows a step"
    speed = _speed(report)
    return Group(
        block("Bench", joined(plan.model.source, report.device_name), facts(_what(report, setting, batch))),
        block("Speed", joined(units.speed(report.tokens_per_second), f"{_ms(report.milliseconds)} a step"), speed),
        block("Beside", "measured and what the plan expected", _beside(report)),
        block("Start", f"first step after {units.duration(report.first_step_seconds)}", facts(_start(report))),
        block("Loss", f"{units.loss(report.first_loss)} at step 1", facts(_loss(report))),
    )  # fmt: skip


def _what(report: "BenchReport", setting: str, batch: str) -> Iterator[tuple[str, str | Text]]:
    plan = report.plan
    kept = ""
    if plan.layers is not None:
        counts = plan.layers
        kept = f"{counts.keep} keep all, {counts.recompute} recompute, {counts.offload} in host memory"
    yield "layers", joined(report.layers, kept)
    yield "base", joined(setting, batch, "packed" if plan.data.packing else "", f"max length {plan.data.max_length:,}")
    yield "trained", joined(f"{units.count(report.num_trainable)} parameters", plan.recipe.optimizer.name)
    yield "timed", f"{units.counted(len(report.seconds), 'step')} after {report.warm_up}"


def _speed(report: "BenchReport") -> RenderableType:
    rows: list[tuple[str, str | Text]] = [
        ("steps", f"{_ms(report.fastest_milliseconds)} to {_ms(report.slowest_milliseconds)}"),
        ("padded", joined(units.speed(report.padded_tokens_per_second), _padding(report))),
    ]
    limit = report.limit
    if limit is None or report.share_of_limit is None:
        rows.append(("limit", "not known: the layers are not of Llama's shape"))
        return facts(rows)
    rows.append(
        ("limit", joined(units.speed(limit.tokens_per_second), f"{units.percent(report.share_of_limit)} of it reached"))
    )
    parts = (
        f"products {_ms(limit.products_milliseconds)} at {limit.teraflops:,.3g} TFLOP/s",
        f"attention {_ms(limit.attention_milliseconds)}",
        f"head {_ms(limit.head_milliseconds)}",
    )
    rows.append(("", joined(*parts)))
    return facts(rows)


def _padding(report: "BenchReport") -> str:
    padded = sum(report.padded_tokens)
    return f"{units.percent(1 - sum(report.tokens) / padded)} is padding" if padded else ""


def _beside(report: "BenchReport") -> RenderableType:
    table = columns("", "measured", "plan", "measured / plan", right=(1, 2, 3))
    speed = None if report.plan.speed is None else report.plan.speed.tokens_per_second
    table.add_row(
        Text("speed", style="label"),
        units.speed(report.tokens_per_second),
        "not said" if speed is None else units.speed(speed),
        "" if not speed else f"{report.tokens_per_second / speed:.2f}",
    )
    whole = "process" if report.plan.device == "cpu" else "device"
    rows = (
        (whole, report.device_bytes, report.estimated_bytes),
        ("allocator", report.peak_bytes, report.estimated_allocated_bytes),
    )
    for name, measured, expected in rows:
        if measured is not None:
            table.add_row(
                Text(name, style="label"),
                units.memory(measured),
                units.memory(expected),
                f"{measured / expected:.2f}",
            )
    return table


def _start(report: "BenchReport") -> Iterator[tuple[str, str | Text]]:
    known = (report.import_seconds, report.plan_seconds, report.load_seconds)
    rest = max(0.0, report.first_step_seconds - sum(known))
    for name, seconds in zip(("imports", "planning", "loading", "first step"), (*known, rest), strict=True):
        yield name, units.duration(seconds)


def _loss(report: "BenchReport") -> Iterator[tuple[str, str | Text]]:
    yield "grad norm", outside(f"{report.first_grad_norm:.4g} at step 1")
    yield "last", units.loss(report.last_loss)


def _ms(milliseconds: float) -> str:
    return f"{milliseconds:,.1f} ms" if milliseconds >= 1 else f"{milliseconds:.3f} ms"
