"""The training loop: one optimizer step after another, with the wishes of a person obeyed in between."""

import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from tui_tuner.controls import Controls
from tui_tuner.data.dataset import LabelledData
from tui_tuner.engine.acceleration.accelerate import refitted
from tui_tuner.engine.adapters import TrainedSet
from tui_tuner.engine.batches import BEGINNING, MicroBatch, Position, StepBatch, collate, step_batches
from tui_tuner.engine.checkpoints.random_state import capture
from tui_tuner.engine.checkpoints.tensors import Numbers
from tui_tuner.engine.checkpoints.training_state import TrainingState
from tui_tuner.engine.checkpoints.writing import CheckpointWriter
from tui_tuner.engine.checks.movement import WeightWatch, watch_weights
from tui_tuner.engine.continuing.loading import LoadedAdapter
from tui_tuner.engine.fitting.cutting import cut_step, next_fit
from tui_tuner.engine.fitting.failing import clean_up, generators, is_out_of_memory, set_generators
from tui_tuner.engine.fitting.probe import probe_memory
from tui_tuner.engine.held_out import EXACT_MATCH, HeldOut, row_names
from tui_tuner.engine.model import TrainingModel
from tui_tuner.engine.optimizers import Optimizer
from tui_tuner.engine.saving.results import ResultWriter
from tui_tuner.errors import MachineError, TrainingError
from tui_tuner.events import (
    CheckpointSaved,
    ControlApplied,
    EvalFinished,
    MemoryExceeded,
    StepFinished,
    TrainEvent,
    WarningRaised,
    WeightsChecked,
)
from tui_tuner.plan import MemoryFit, RunPlan
from tui_tuner.planning.fitting.fit import fit_words, fitted
from tui_tuner.planning.schedule import learning_rate_factor

PAUSE_POLL_SECONDS = 0.2


@dataclass(slots=True, kw_only=True)
class TrainingLoop:
    """Everything that one run trains with, and where it stands."""

    plan: RunPlan
    model: TrainingModel
    trained: TrainedSet
    data: LabelledData
    optimizer: Optimizer
    held_out: HeldOut
    results: ResultWriter
    checkpoints: CheckpointWriter
    controls: Controls
    loaded: LoadedAdapter | None = None
    """The adapter that is gone on with, in a run that begins with it."""
    weights_seconds: float = 0.0
    """What loading the weights took."""
    fit: MemoryFit = field(default_factory=MemoryFit)
    watch: WeightWatch | None = None
    step: int = 0
    position: Position = BEGINNING
    learning_rate_scale: float = 1.0
    last_eval: EvalFinished | None = None
    last_look: int = 0
    """Step of the last evaluation by the schedule; the base is looked at by itself."""
    last_answered: int | None = None
    last_saved: int = 0
    last_save_tried: int = 0
    ahead: StepBatch | None = None
    """The next step's batch, where it was read already."""
    wishes: set[str] = field(default_factory=set)
    began: float = field(default_factory=time.perf_counter)
    seconds_before: float = 0.0
    """What the run took up to the checkpoint that it was resumed from."""

    @property
    def seconds(self) -> float:
        return self.seconds_before + time.perf_counter() - self.began

    def train(self) -> Iterator[TrainEvent]:
        """Run to the last step, or to the step after which a stop was asked for.

        Raises:
            TrainingError: a loss or a gradient is not finite; the weights are those of the step before.
            MachineError: out of memory.
        """
        self.model.module.train()
        is_lora = self.plan.adapter.method == "lora"
        self.watch = watch_weights(self.model.module, self.trained, self.step, needs_all=is_lora)
        batches = step_batches(self.data.train, self.plan, self.position)
        if self.step == 0 and not self.controls.is_stopping:
            yield from probe_memory(self)
        while self.step < self.plan.schedule.total_steps:
            yield from self._obey()
            if self.controls.is_stopping:
                break
            yield from self._take_step(batches)
            if self.watch.is_due(self.step) and not self.controls.is_stopping:
                yield from self.check_weights()
            yield from self._look()
        if not self.controls.is_aborting and self.step > self.last_saved:
            # Before anything else: whoever asked for the stop may give us only seconds.
            yield self.save()

    def check_weights(self) -> Iterator[WeightsChecked]:
        """Whether what is trained has moved and nothing else has. Raises TrainingError where it is not so."""
        if self.watch is not None and self.watch.last != self.step:
            checked = self.watch.check(self.step)
            yield checked
            self.watch.refuse(checked)

    def _take_step(self, batches: Iterator[StepBatch]) -> Iterator[TrainEvent]:
        started = time.perf_counter()
        batch = self.ahead or next(batches)
        self.ahead = None
        attempt = self._attempt(batch, batches)
        while attempt is None:
            yield self._with_less(batch)
            attempt = self._attempt(batch, batches)
        loss, grad_norm = attempt
        if not (math.isfinite(loss) and math.isfinite(grad_norm)):
            raise self._not_finite(batch, loss, grad_norm)
        factor = learning_rate_factor(self.step + 1, self.plan.schedule) * self.learning_rate_scale
        self._move(factor)
        self.step += 1
        self.position = batch.after
        yield StepFinished(
            step=self.step,
            loss=loss,
            grad_norm=grad_norm,
            learning_rate=self.optimizer.groups[0].learning_rate * factor,
            tokens=batch.num_tokens,
            trained_tokens=batch.num_trained,
            seconds=time.perf_counter() - started,
            epoch=batch.epoch,
            memory=torch.cuda.max_memory_allocated(self.model.device) if self.model.device.type == "cuda" else None,
        )

    def _attempt(self, batch: StepBatch, batches: Iterator[StepBatch]) -> tuple[float, float] | None:
        """Loss and norm of a step's gradients; None, and nothing of it is left, where memory ran out."""
        device = self.model.device
        before = generators(device)
        try:
            total = self._accumulate(cut_step(batch, self.fit), batch.num_trained)
            if self.ahead is None:
                # While the device is busy; what follows waits for it.
                self.ahead = next(batches, None)
            grad_norm = self.optimizer.clip()
            return float(total), grad_norm
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        # Here, since the error held on to the tensors of the pass that failed.
        clean_up(self.model, self.optimizer)
        set_generators(before, device)
        return None

    def _with_less(self, batch: StepBatch) -> MemoryExceeded:
        """Raises MachineError where nothing is left that would take less."""
        fit = next_fit(self.plan, self.fit, batch)
        if fit is None:
            raise self.out_of_memory()
        self.go_on_with(fit)
        return MemoryExceeded(step=self.step + 1, fit=fit, words=fit_words(self.plan, fit))

    def go_on_with(self, fit: MemoryFit) -> None:
        """From the next micro-batch on; what is learned stays the same but for rounding."""
        if fit != self.fit:
            self.fit = fit
            self.model = refitted(self.model, fitted(self.plan, fit))
            self.held_out.micro_batch_size = min(self.held_out.micro_batch_size, fit.rows or sys.maxsize)

    def _move(self, factor: float) -> None:
        """Raises MachineError where the optimizer's states do not fit: its first step makes them."""
        try:
            self.optimizer.step(factor)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise self.out_of_memory() from error

    def _accumulate(self, batch: StepBatch, trained_tokens: int) -> Tensor:
        """Gradients of the mean loss over all trained tokens of the step, however it is cut into micro-batches."""
        total = torch.zeros((), device=self.model.device)
        for micro_batch in batch.micro_batches:
            total += self.model.add_gradients(micro_batch, trained_tokens)
        return total

    def _obey(self) -> Iterator[TrainEvent]:
        """Carry out what was asked for since the last step; while paused, wait for the next wish."""
        is_paused = False
        while True:
            for request in self.controls.poll():
                if request.action == "learning_rate" and request.value is not None:
                    self.learning_rate_scale = request.value
                is_paused = request.action == "pause" or (is_paused and request.action != "resume")
                self.wishes.add(request.action)
                yield ControlApplied(step=self.step, action=request.action, value=request.value)
            yield from self._look()
            if not is_paused or self.controls.is_stopping:
                return
            self.controls.wait(PAUSE_POLL_SECONDS)

    def _look(self) -> Iterator[TrainEvent]:
        """Evaluate, sample and save where the schedule or a person says so."""
        schedule = self.plan.schedule
        is_last = self.step == schedule.total_steps
        is_due = self.last_look != self.step and (is_last or self.step % schedule.evaluate_every == 0)
        if "evaluate" in self.wishes and not self.held_out.examples:
            yield WarningRaised(message="No rows are held out to evaluate on.", hint="Set data.evaluation_fraction.")
        if is_due or "evaluate" in self.wishes:
            yield from self._measure(with_exact_match=is_last)
        if (is_due or "sample" in self.wishes) and not self.controls.is_stopping:
            yield from self._answer()
        self.last_look = self.step
        is_save_due = self.step > self.last_save_tried and (is_last or self.step % schedule.save_every == 0)
        if "save" in self.wishes or is_save_due:
            yield self.save() if is_last else self._save_or_say()
        self.wishes.clear()

    def look_at_base(self) -> Iterator[TrainEvent]:
        """Measure and ask the model before its first step. A stop cuts this short between its parts."""
        if not self.controls.is_stopping:
            yield from self._measure(with_exact_match=True)
        if not self.controls.is_stopping:
            yield from self._answer()

    def look_at_result(self) -> Iterator[TrainEvent]:
        """Measure and ask what will be saved, as far as the last step has not done so already."""
        measured = self.last_eval
        has_exact_match = measured and (EXACT_MATCH in measured.metrics or not self.held_out.exact_match_questions)
        if not (measured and measured.step == self.step and has_exact_match):
            yield from self._measure(with_exact_match=True, is_final=True)
        if self.last_answered != self.step:
            yield from self._answer()

    def _measure(self, *, with_exact_match: bool, is_final: bool = False) -> Iterator[TrainEvent]:
        """Nothing where no rows are held out. A stop leaves out the exact match, except for the result."""
        if self.held_out.examples:
            self.last_eval = self._evaluated()
            self.model.leave_evaluation()
            if with_exact_match and (is_final or not self.controls.is_stopping):
                self.last_eval = self.held_out.with_exact_match(self.last_eval)
            yield self.last_eval

    def _evaluated(self) -> EvalFinished:
        """With half the rows at once where they do not fit. Raises MachineError where not even one does."""
        was_training = self.model.module.training
        while True:
            try:
                return self.held_out.evaluate(self.step)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            self.model.module.train(was_training)
            clean_up(self.model, self.optimizer)
            if self.held_out.micro_batch_size == 1:
                raise self.out_of_memory("The evaluation")
            self.held_out.micro_batch_size = (self.held_out.micro_batch_size + 1) // 2

    def _answer(self) -> Iterator[TrainEvent]:
        self.last_answered = self.step
        yield from self.held_out.samples(self.step)

    def save(self) -> CheckpointSaved:
        """Raises MachineError where the disk is full."""
        self.last_save_tried = self.step
        measured = self.last_eval is not None and self.last_eval.step == self.step
        loss = self.last_eval.loss if self.last_eval and measured else None
        saved = self.checkpoints.save(self.step, loss, self._state)
        self.last_saved = self.step
        return saved

    def _save_or_say(self) -> TrainEvent:
        """A disk that is full now may have room at the next checkpoint: hours of training are not thrown away."""
        try:
            return self.save()
        except MachineError as error:
            return WarningRaised(message=f"{error.message} Training goes on without this checkpoint.", hint=error.hint)

    def _state(self, saved: CheckpointSaved, best: CheckpointSaved | None, numbers: Numbers) -> TrainingState:
        return TrainingState(
            step=self.step,
            position=self.position,
            data_seed=self.plan.recipe.data.seed,
            learning_rate_scale=self.learning_rate_scale,
            last_eval=self.last_eval,
            last_answered=self.last_answered,
            best_loss=self.held_out.best_loss,
            best=best,
            saved=saved,
            journal_position=self.checkpoints.journal.position,
            seconds=self.seconds,
            random=capture(self.model.device),
            optimizer_numbers=numbers,
            fit=self.fit,
        )

    def _not_finite(self, batch: StepBatch, loss: float, grad_norm: float) -> TrainingError:
        """Name the rows that do it, each tried alone."""
        rows = row_names([self.data.train[index].ref for index in batch.examples if not self._is_finite(index)])
        return TrainingError(
            f"Step {self.step + 1}: loss is {loss}, grad norm is {grad_norm} ({rows}).",
            "The weights are those of the step before. Lower optimizer.learning_rate, or look at these rows.",
        )

    def _is_finite(self, index: int) -> bool:
        alone = collate(self.data.train, [(index,)]).to(self.model.device)
        return math.isfinite(float(self._loss_alone(alone)))

    @torch.no_grad()
    def _loss_alone(self, batch: MicroBatch) -> torch.Tensor:
        return self.model.loss(batch).loss

    def out_of_memory(self, what: str = "") -> MachineError:
        """For when a single row does not fit, and layers keep as little as they can.

        what: does not fit; the next step where it is empty.
        """
        whose = "GPU's" if self.model.device.type == "cuda" else "machine's"
        expected = f"the plan expected {self.plan.memory.total / 2**30:.1f} GiB"
        what = f"{what or f'Step {self.step + 1}'} does not fit the {whose} memory"
        four_bit = "" if self.plan.quantization == "nf4" else ' or model.quantization = "nf4"'
        tried = fit_words(self.plan, self.fit)
        return MachineError(
            f"{what}, not even with {tried}; {expected}." if tried != "as planned" else f"{what}; {expected}.",
            f"Set a smaller data.max_length{four_bit}, or free memory that other programs take.",
        )
