"""How a run ended: samples before and after, held-out figures, the proof, and where everything is."""

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.table import Column, Table
from rich.text import Text

from tui_tuner import units
from tui_tuner.cli.views.blocks import block, facts, joined, mark, outside, outside_line
from tui_tuner.events import EvalFinished, Outcome, ProofFinished, RunState, SampleGenerated

MAX_SAMPLE = 400
METRIC_NAMES = {"token_accuracy": "accuracy"}


def result_blocks(state: RunState) -> Iterator[RenderableType]:
    """Only what is there: a run that was stopped early has no proof, one without held-out rows no samples."""
    if state.samples:
        yield samples_block(state.samples)
    if len(state.evals) > 1:
        yield _change_block(state.evals)
    if state.proof:
        yield proof_block(state.proof)
    if state.finished:
        yield _end_block(state)


def samples_block(samples: Sequence[SampleGenerated]) -> RenderableType:
    """Each prompt once, with its first and its last answer side by side."""
    first, last = min(one.step for one in samples), max(one.step for one in samples)
    before = {one.index: one for one in samples if one.step == first != last}
    after = {one.index: one for one in samples if one.step == last}
    headline = f"the same prompts at step {first} and at step {last}" if before else f"at step {last}"
    pairs = [(before.get(index), sample) for index, sample in sorted(after.items())]
    return block("Samples", headline, *(line for pair in pairs for line in _pair(*pair)))


def proof_block(proof: ProofFinished) -> RenderableType:
    verdict = "saved adapter, read back from disk, equals the live one" if proof.passed else proof.message
    losses = {"base": proof.loss_base, "live": proof.loss_live, "saved": proof.loss_saved}
    return block(
        "Proof",
        Text.assemble(mark("good" if proof.passed else "bad"), " ", outside(verdict)),
        facts(
            [
                (
                    "saved, live",
                    f"differ by at most {proof.max_difference_to_live:.1e} (allowed {proof.tolerance:.0e})",
                ),
                ("saved, base", f"differ by {proof.mean_difference_to_base:.3f} on average, KL {proof.kl_to_base:.3f}"),
                ("loss", joined(*(f"{name} {units.loss(loss)}" for name, loss in losses.items()))),
                (
                    "over",
                    joined(
                        f"{proof.positions} trained tokens",
                        f"{proof.tensors} tensors",
                        f"sha256 {proof.adapter_hash[:12]}",
                    ),
                ),
            ]
        ),
    )


def _pair(before: SampleGenerated | None, after: SampleGenerated) -> Iterator[RenderableType]:
    answers = {"before": before, "after": after} if before else {"answer": after}
    yield Text.assemble(("▸ ", "quiet"), outside_line(after.prompt, "strong"))
    table = Table.grid(*(Column(ratio=1, overflow="fold") for _ in answers), expand=True, padding=(0, 2, 0, 0))
    table.add_row(*(Text(name, style="label") for name in answers))
    table.add_row(*(_answer(sample) for sample in answers.values() if sample))
    yield table
    if after.expected is not None:
        same = after.text.strip() == after.expected.strip()
        yield Text.assemble(
            mark("good") if same else ("·", "quiet"), " expected  ", outside_line(after.expected, "quiet")
        )


def _answer(sample: SampleGenerated) -> Text:
    text = outside(sample.text[:MAX_SAMPLE])
    return text if sample.stopped else Text.assemble(text, (" … (did not stop by itself)", "quiet"))


def _change_block(evals: Sequence[EvalFinished]) -> RenderableType:
    first, last = evals[0], evals[-1]
    rows: list[tuple[str, str | Text]] = [("loss", f"{units.loss(first.loss)} → {units.loss(last.loss)}")]
    for name in sorted(first.metrics.keys() & last.metrics.keys()):
        change = f"{units.percent(first.metrics[name])} → {units.percent(last.metrics[name])}"
        rows.append((METRIC_NAMES.get(name, name.replace("_", " ")), change))
    return block("Held out", f"{units.count(last.rows)} rows that were not trained on", facts(rows))


def _end_block(state: RunState) -> RenderableType:
    finished = state.finished
    assert finished is not None
    word = {Outcome.COMPLETED: "completed", Outcome.STOPPED: "stopped", Outcome.FAILED: "failed"}[finished.outcome]
    headline = joined(
        Text.assemble(mark(word), f" {word} at step {units.count(finished.step)}"),
        f"{units.short_count(finished.tokens)} tokens",
        units.duration(finished.seconds),
    )
    best = f"{units.loss(finished.best_loss)} at step {finished.best_step}" if finished.best_loss is not None else ""
    return block(
        "Result",
        headline,
        facts(
            [
                *([("best loss", best)] if best else []),
                *([("adapter", finished.adapter)] if finished.adapter else []),
                *_next_commands(state),
            ]
        ),
    )


def _next_commands(state: RunState) -> list[tuple[str, str | Text]]:
    is_stopped = state.finished is not None and state.finished.outcome is Outcome.STOPPED
    commands = [f"tuner resume {state.folder}"] if is_stopped and state.checkpoints else []
    commands.append(f"tuner show {state.folder}")
    if state.finished and state.finished.adapter:
        commands.append(f"tuner chat {state.folder}")
    return [("next" if place == 0 else "", outside(command, "strong")) for place, command in enumerate(commands)]
