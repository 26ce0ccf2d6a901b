"""Steps, batches and the learning rate at each step. Pure arithmetic."""

from math import ceil, cos, pi

from tui_tuner.plan import DataFacts, StepSchedule
from tui_tuner.recipe import Recipe

ROWS_PER_STEP = 16
MIN_STEPS_PER_EPOCH = 10
MANY_ROWS = 10_000
WARMUP_FRACTION = 0.05
MIN_WARMUP_STEPS = 5
WARMUP_FLOOR_FROM = 50
"""Total steps from which the warm-up has at least `MIN_WARMUP_STEPS`."""
MOST_LOOKS = 10
"""Evaluations over a run."""
LOOKING_SHARE = 0.25
"""Work that evaluations may add to training. A row costs a third as much to evaluate as to train."""


def make_schedule(recipe: Recipe, data: DataFacts, micro_batch_size: int, gradient_accumulation: int) -> StepSchedule:
    """The steps of a run over known data. One epoch has ceil(sequences / sequences per step) steps."""
    training = recipe.training
    per_step = micro_batch_size * gradient_accumulation
    sequences = num_sequences(data)
    steps_per_epoch = max(1, ceil(sequences / per_step))
    total = training.max_steps or max(1, ceil(steps_per_epoch * epochs_of(recipe, data)))
    looks = looks_of(data, total * per_step)
    evaluate_every = ceil(total / looks) if training.evaluate_every == "auto" else training.evaluate_every
    tokens_per_step = tokens_per_sequence(data) * per_step if data.num_tokens is not None else None
    return StepSchedule(
        total_steps=total,
        warmup_steps=warmup_steps_of(recipe, total),
        schedule=recipe.optimizer.schedule,
        micro_batch_size=micro_batch_size,
        gradient_accumulation=gradient_accumulation,
        steps_per_epoch=steps_per_epoch,
        tokens_per_step=round(tokens_per_step) if tokens_per_step is not None else None,
        total_tokens=round(tokens_per_step * total) if tokens_per_step is not None else None,
        evaluate_every=evaluate_every,
        save_every=evaluate_every if training.save_every == "auto" else training.save_every,
    )


def looks_of(data: DataFacts, trained_sequences: int) -> int:
    """Evaluations that a run can afford: at least one, at its end."""
    if data.num_evaluation_rows == 0:
        return MOST_LOOKS
    trained_rows = trained_sequences * data.num_rows / num_sequences(data)
    affordable = 3 * LOOKING_SHARE * trained_rows / data.num_evaluation_rows
    return max(1, min(MOST_LOOKS, int(affordable)))


def learning_rate_factor(step: int, schedule: StepSchedule) -> float:
    """Share of the peak learning rate at a step, counted from 1.

    While warming up it is f(step), afterwards f(step - 1), with f the factor that transformers'
    get_{linear,cosine,constant}_schedule_with_warmup give for a step counted from 0: so no step, neither the first nor
    the last, is spent at a learning rate of zero.
    """
    if step <= schedule.warmup_steps:
        return step / schedule.warmup_steps
    if schedule.schedule == "constant":
        return 1.0
    done = (step - 1 - schedule.warmup_steps) / max(1, schedule.total_steps - schedule.warmup_steps)
    if schedule.schedule == "linear":
        return max(0.0, 1.0 - done)
    return max(0.0, 0.5 * (1.0 + cos(pi * done)))


def epochs_of(recipe: Recipe, data: DataFacts) -> float:
    """Passes over the data: as asked, or 1 over many rows and 3 over few."""
    if recipe.training.epochs != "auto":
        return recipe.training.epochs
    return 1.0 if data.num_rows > MANY_ROWS else 3.0


def warmup_steps_of(recipe: Recipe, total_steps: int) -> int:
    """As asked, or 5 % of the steps and at least 5 in a run of 50 or more."""
    if recipe.optimizer.warmup_steps != "auto":
        return recipe.optimizer.warmup_steps
    steps = round(total_steps * WARMUP_FRACTION)
    return max(steps, MIN_WARMUP_STEPS) if total_steps >= WARMUP_FLOOR_FROM else steps


def sequences_per_step(data: DataFacts) -> int:
    """A power of two: sequences that hold about 16 rows, or fewer where an epoch would have under 10 steps."""
    sequences = num_sequences(data)
    rows_per_sequence = max(1.0, data.num_rows / sequences)
    wanted = min(ROWS_PER_STEP / rows_per_sequence, sequences / MIN_STEPS_PER_EPOCH)
    return 1 << max(0, int(wanted).bit_length() - 1)


def accumulation_for_tokens(tokens_per_step: int, data: DataFacts, micro_batch_size: int) -> int:
    """Micro-batches whose tokens come closest to a number of tokens per step; at least 1."""
    return max(1, round(tokens_per_step / (tokens_per_sequence(data) * micro_batch_size)))


def num_sequences(data: DataFacts) -> int:
    """Sequences of one epoch, estimated from the tokens where rows are packed and the bins are not known yet."""
    if data.num_sequences is not None:
        return max(1, data.num_sequences)
    if data.packing and data.num_tokens is not None:
        return max(1, ceil(data.num_tokens / data.max_length))
    return max(1, data.num_rows)


def tokens_per_sequence(data: DataFacts) -> float:
    """Mean length of a sequence; the longest possible where nothing was measured."""
    if data.num_tokens is None:
        return float(data.max_length)
    return max(1.0, data.num_tokens / num_sequences(data))
