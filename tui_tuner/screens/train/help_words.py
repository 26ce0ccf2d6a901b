"""The help of the Train station's panels, with the present figures. Text from outside is made plain for Markdown."""

from tui_tuner.events import AdapterAudited, RunState, WeightsChecked
from tui_tuner.safe_text import visible
from tui_tuner.screens.train.meters import COMPONENTS, Gauges
from tui_tuner.units import duration, loss, memory, rate

MAX_NAMES = 8
LOSS = """\
**Loss** is the mean negative log-likelihood of a trained token, in nats: 0.69 is a coin toss between two tokens.

Dim: each step. Bright: the same, smoothed. The other colour: held-out rows, which the model does not learn from; it is
the one that counts. Signs on the axis: `s` saved, `<` learning rate changed, `p` paused, `r` resumed."""
GAUGES = """\
**tok/s** counts every token that went through the model, by the last 20 steps; **of plan** compares with the estimate.

**VRAM peak** is the most that the run held so far; the colours split it as the plan expects.

**GPU** is the share of the time in which a kernel ran: below 90 % it waits for something else. From 85 °C on most cards
slow down.

**grad norm** is the length of the gradient before clipping: 0.1 to 10 is usual, above 100 is unstable, 0 is broken."""
JOURNAL = """\
**Journal**: all that happened but the steps, newest first. `tuner logs` shows the same, and what libraries printed."""
SAMPLES = """\
The same prompts, answered again at each look. The first line is the base model's answer; the sign tells whether the
model ended its turn by itself. `n` shows the next prompt."""


def loss_help(state: RunState) -> str:
    """What the curves are, and where they stand."""
    words, last, best = [LOSS], state.last_step, state.best_eval
    if last is not None:
        words.append(f"Step **{last.step:,}**: {loss(last.loss)} on {last.trained_tokens:,} trained tokens.")
    base = next((one.loss for one in state.evals if one.step == 0), None)
    if best is not None:
        against = f"; the base model had {loss(base)}" if base is not None else ""
        words.append(
            f"Best held-out loss: **{loss(best.loss)}** at step {best.step:,}, on {best.rows:,} rows with"
            f" {best.trained_tokens:,} trained tokens{against}."
        )
    return "\n\n".join(words)


def gauges_help(gauges: Gauges) -> str:
    """What the gauges measure, and their present figures."""
    words, state = [GAUGES], gauges.state
    if state.recent_tokens_per_second is not None:
        words.append(f"Now **{state.recent_tokens_per_second:,.0f} tok/s**.{_against_plan(gauges)}")
    if state.plan is not None:
        parts = ", ".join(
            f"{name} {memory(getattr(state.plan.memory, name))}"
            for name in COMPONENTS
            if getattr(state.plan.memory, name)
        )
        words.append(f"The plan expects {memory(state.plan.memory.total)}: {parts}.")
    if state.last_step is not None:
        last = state.last_step
        words.append(f"Step {last.step:,}: gradient {last.grad_norm:.3g}, learning rate {rate(last.learning_rate)}.")
    if state.seconds_left:
        words.append(
            f"About {duration(state.seconds_left)} are left, by the last {len(state.recent_steps)} steps; looks at the"
            " held-out rows to come are not counted."
        )
    return "\n\n".join(words)


def journal_help(state: RunState) -> str:
    """What the journal is, and in full what it has only a line for."""
    words = [JOURNAL]
    if state.audit is not None:
        words.append(_audit_table(state.audit))
    if state.weights is not None:
        words.append(_weights(state.weights))
    if state.proof is not None:
        proof = state.proof
        words.append(
            f"**Proof**: saved against live, the largest difference of {proof.positions:,} log-probabilities is"
            f" {proof.max_difference_to_live:.2g} ({proof.tolerance:.2g} is allowed); against the base they differ by"
            f" {proof.mean_difference_to_base:.3g} on average."
        )
    return "\n\n".join(words)


def _against_plan(gauges: Gauges) -> str:
    speed = gauges.state.plan.speed if gauges.state.plan else None
    if speed is None:
        return ""
    if speed.tokens_per_second is None:
        return f" The plan had no estimate: {_plain(speed.reason)}."
    return f" The plan expected {speed.tokens_per_second:,.0f}: {_plain(speed.reason)}."


def _audit_table(audit: AdapterAudited) -> str:
    lines = [
        f"**Continued** from {_plain(audit.folder)}: loss {loss(audit.loss_before)} without it,"
        f" {loss(audit.loss_after)} with it, on {_plain(audit.rows)}.",
        "",
        "| weights | in the file | trained | learning rate |",
        "|---|---|---|---|",
    ]
    for group in audit.groups:
        rates = " and ".join(rate(one) for one in group.learning_rates)
        lines.append(f"| {_plain(group.name)} | {group.expected:,} | {group.trainable:,} | {rates} |")
    lines += [f"\n{_plain(name)} is in the file and not trained." for name in audit.unmatched[:MAX_NAMES]]
    lines += [f"\n{_plain(name)} is trained and not in the file." for name in audit.missing[:MAX_NAMES]]
    return "\n".join(lines)


def _weights(checked: WeightsChecked) -> str:
    words = f"**Weights**: after step {checked.step:,}, of {checked.num_trained:,} trained tensors"
    words += f" {checked.num_trained - len(checked.unmoved):,} have moved, and of {checked.num_frozen:,} frozen ones"
    words += f" {len(checked.changed):,} have changed."
    names = ", ".join(_plain(name) for name in (*checked.unmoved, *checked.changed)[:MAX_NAMES])
    return f"{words} Look at: {names}." if names else words


def _plain(text: str) -> str:
    return visible(text).translate({ord(sign): f"\\{sign}" for sign in "\\`*_[]<>#|"})
