"""The turns of one system in a case, and what of them stands in the table."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from tui_tuner.engine.bench.peers.children import Children
from tui_tuner.engine.bench.peers.judging import Reference, fault_of, gradient_cosine
from tui_tuner.engine.bench.peers.outside.peer_runner.job import Answer
from tui_tuner.engine.bench.peers.request import PACKAGES
from tui_tuner.engine.bench.peers.setting import Setting, Variant
from tui_tuner.engine.bench.peers.table import SystemRow
from tui_tuner.engine.bench.rates import tokens_per_second


@dataclass
class Turns:
    """What one system in one of its ways has measured so far."""

    variant: Variant
    answers: list[Answer] = field(default_factory=list)
    cosine: float | None = None
    fault: str = ""

    @property
    def is_over(self) -> bool:
        """Whether another turn would say nothing new."""
        return bool(self.fault) or any(one.status != "done" for one in self.answers)

    def take(self, setting: Setting, reference: Reference, children: Children) -> None:
        """One more process; the first is held against the reference."""
        is_first = not self.answers
        variant, job = self.variant, setting.job_of(self.variant)
        words = f"{variant.system} {variant.way} {variant.recompute}".replace("'", "")
        name = f"{setting.case.name}/{words.replace(' ', '-')}"
        gradients = children.folder / f"{name}.gradients.safetensors"
        answer = children.measure(replace(job, gradients=str(gradients)) if is_first else job, name)
        self.answers.append(answer)
        if answer.status != "done" or not is_first:
            return
        try:
            self.cosine = gradient_cosine(gradients, reference.gradients)
            self.fault = fault_of(answer, self.cosine, reference, job.base)
        except (OSError, ValueError) as error:
            self.fault = str(error)
        finally:
            gradients.unlink(missing_ok=True)


def rows_of(turns: Sequence[Turns], limit: float | None) -> tuple[SystemRow, ...]:
    """A row for each, with ratios between ours and theirs.

    Args:
        limit: tokens per second that the machine's products and attention alone allow.
    """
    rows = [_row(one, limit) for one in turns]
    ours = {
        row.system: row.tokens_per_second
        for one, row in zip(turns, rows, strict=True)
        if one.variant.system == "tuner" and row.tokens_per_second
    }
    pairs = zip(turns, rows, strict=True)
    return tuple(row if one.variant.system == "tuner" else _compared(one, row, turns, rows, ours) for one, row in pairs)


def _compared(
    turn: Turns, row: SystemRow, turns: Sequence[Turns], rows: Sequence[SystemRow], ours: dict[str, float]
) -> SystemRow:
    speed = row.tokens_per_second
    if speed is None:
        return row
    ways = [
        other.tokens_per_second or 0.0
        for one, other in zip(turns, rows, strict=True)
        if one.variant.system == turn.variant.system
    ]
    ratios = {name: mine / speed for name, mine in ours.items()}
    return row.model_copy(update={"ratios": ratios, "is_fastest_way": len(ways) > 1 and speed == max(ways)})


def _row(turns: Turns, limit: float | None) -> SystemRow:
    last, first = turns.answers[-1], turns.answers[0]
    row = SystemRow(
        system=turns.variant.label,
        status="wrong" if turns.fault else last.status,
        reason=turns.fault or reason_of(last, turns.variant.system),
        loss=first.check_loss,
        gradient_cosine=turns.cosine,
        versions=first.versions,
        note=first.note,
    )
    return row if turns.is_over else row.model_copy(update=_figures(turns.answers, limit))


def reason_of(answer: Answer, system: str) -> str:
    """Why there are no figures; of a peer that is not there, how to get it."""
    if answer.status != "absent":
        return answer.reason
    return f"{answer.reason}; install it with `pip install {PACKAGES[system]}`"


def _figures(answers: Sequence[Answer], limit: float | None) -> dict[str, object]:
    seconds = [one for answer in answers for one in answer.seconds]
    speed = tokens_per_second(seconds, [one for answer in answers for one in answer.tokens])
    rounds = [tokens_per_second(one.seconds, one.tokens) or 0.0 for one in answers]
    padded = [one for answer in answers for one in answer.padded_tokens]
    return {
        "tokens_per_second": speed,
        "padded_tokens_per_second": tokens_per_second(seconds, padded),
        "slowest_and_fastest": (min(rounds), max(rounds)),
        "milliseconds": 1e3 * statistics.median(seconds),
        "peak_bytes": _most([one.peak_bytes for one in answers]),
        "reserved_bytes": _most([one.reserved_bytes for one in answers]),
        "device_bytes": _most([one.device_bytes for one in answers]),
        "load_seconds": answers[0].load_seconds,
        "first_step_seconds": answers[0].first_step_seconds,
        "share_of_limit": speed / limit if speed and limit else None,
    }


def _most(sizes: Sequence[int | None]) -> int | None:
    known = [size for size in sizes if size is not None]
    return max(known) if known else None
