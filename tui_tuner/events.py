"""What a run tells the world, one typed event at a time, and the fold that adds them up.

Events are the only thing that front ends see of a run: they arrive from `engine.run`, or line by line from a journal.
"""

import functools
import itertools
import operator
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Annotated, Any, Literal, assert_never

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from tui_tuner.errors import Change
from tui_tuner.plan import DataFacts, MemoryFit, RunPlan, StepSchedule

MAX_CURVE_POINTS = 2000
NUM_RECENT_STEPS = 20


class Phase(StrEnum):
    """The stations of a run, in order."""

    PLANNING = "planning"
    LABELLING = "labelling"
    LOADING = "loading"
    BASELINE = "baseline"
    TRAINING = "training"
    SAVING = "saving"
    PROVING = "proving"


class Outcome(StrEnum):
    """How a run ended."""

    COMPLETED = "completed"
    STOPPED = "stopped"
    FAILED = "failed"


class Event(BaseModel):
    """Immutable, one JSON line each. `time` is seconds since 1970."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="strings", defer_build=True)

    time: float = Field(default_factory=time.time)


class RunStarted(Event):
    kind: Literal["run_started"] = "run_started"
    run_id: str
    folder: str
    plan: RunPlan
    versions: dict[str, str] = {}
    process_id: int = 0


class RunResumed(Event):
    """A run goes on from a checkpoint, in the same folder and journal.

    What the journal says between the checkpoint and this event is superseded: those steps are taken again.
    """

    kind: Literal["run_resumed"] = "run_resumed"
    folder: str
    step: int
    checkpoint: str = ""
    """Folder of the checkpoint; empty where there was none and the run begins again."""
    superseded_from: int = 0
    """Byte offset in the journal after which, up to this line, nothing counts any more."""
    accepted: tuple[Change, ...] = ()
    """What had changed since, and was accepted by a person."""
    plan: RunPlan | None = None
    """The plan from here on, where it is not the one that the run had."""
    versions: dict[str, str] = {}
    process_id: int = 0


class PhaseStarted(Event):
    kind: Literal["phase_started"] = "phase_started"
    phase: Phase
    detail: str = ""


class Progress(Event):
    kind: Literal["progress"] = "progress"
    phase: Phase
    done: int
    total: int | None = None


class DataReady(Event):
    """The data as it really is: exact counts, and the schedule that follows from them."""

    kind: Literal["data_ready"] = "data_ready"
    data: DataFacts
    schedule: StepSchedule
    data_hash: str
    template_hash: str
    padding_share: float | None = None
    """Of all positions of the first epoch's batches."""


class RowLabelled(Event):
    """One row as it will be trained, from the arrays that the run trains on."""

    kind: Literal["row_labelled"] = "row_labelled"
    row: str
    """Where it is from: "train.jsonl:17"."""
    pieces: tuple[tuple[str, bool], ...]
    """Text of consecutive tokens of one kind, and whether they are trained."""
    num_tokens: int
    num_trained: int


class TrainableGroup(BaseModel):
    """Parameters that share a learning rate."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    name: str
    num_tensors: int
    num_parameters: int
    learning_rate: float
    weight_decay: float


class ModelReady(Event):
    kind: Literal["model_ready"] = "model_ready"
    groups: tuple[TrainableGroup, ...]
    num_trainable: int
    num_total: int
    base_fingerprint: str
    swaps: tuple[str, ...] = ()
    """What was exchanged for our own modules, in words."""
    seconds: float
    """From the beginning of loading; imports of libraries came before."""
    weights_seconds: float = 0.0
    """Of these, until the weights were on their device."""


class AuditedGroup(BaseModel):
    """One kind of weights of an adapter: what its file holds against what the model trains."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    name: str
    """"lora", "embedding", "head", "norm" or "other"."""
    expected: int
    """Parameters in the file; a tied matrix counts once."""
    trainable: int
    """Parameters of the model that have requires_grad."""
    learning_rates: tuple[float, ...]
    """Peak rates; A and B have two with LoRA+."""


class AdapterAudited(Event):
    """Before the first step of a run that goes on from an adapter: is all of it there, and all of it trained?"""

    kind: Literal["adapter_audited"] = "adapter_audited"
    folder: str
    groups: tuple[AuditedGroup, ...]
    missing: tuple[str, ...] = ()
    """Tensors that the model trains and the file lacks."""
    unmatched: tuple[str, ...] = ()
    """Tensors of the file that the model does not have, or does not train."""
    loss_before: float
    """On `rows`, before the adapter was loaded."""
    loss_after: float
    rows: str
    """Which, in words: "12 held-out rows"."""
    loss_logged: float | None = None
    """The last held-out loss of the run that made the adapter; on its own rows, unless `is_same_data`."""
    step_logged: int | None = None
    is_same_data: bool = False
    base_confirmed: bool = False
    """Whether the base model's fingerprint is the one that the adapter names."""
    problem: str = ""
    """Why training does not begin; empty where all is well."""


class WeightsChecked(Event):
    """After some steps: whether every trained tensor has moved, and no frozen one has."""

    kind: Literal["weights_checked"] = "weights_checked"
    step: int
    num_trained: int
    num_frozen: int
    unmoved: tuple[str, ...] = ()
    """Trained tensors that are bit for bit as they were."""
    changed: tuple[str, ...] = ()
    """Frozen tensors that are not."""
    seconds: float = 0.0


class MemoryProbed(Event):
    """Before step 1 on a GPU: forward and backward of the largest micro-batch, measured. Nothing else of it remains."""

    kind: Literal["memory_probed"] = "memory_probed"
    tokens: int
    rows: int
    """Sequences of that micro-batch."""
    expected: int
    """Peak of the device's allocator by the plan's formula, for this very micro-batch."""
    measured: int
    reserve: int
    """What the device holds beside that: its context, kernels, lost space."""
    available: int | None
    """What the run may take, reserve included."""
    layers: str
    """What layers kept meanwhile, in words."""
    fit: MemoryFit | None = None
    """What the run goes on with, where that is something else than it was measured with."""
    seconds: float


class MemoryExceeded(Event):
    """A step (0: the probe before the first) ran out of memory. Nothing of it remains; it is taken again with less."""

    kind: Literal["memory_exceeded"] = "memory_exceeded"
    step: int
    fit: MemoryFit
    """What it is taken again with, and every step after it."""
    words: str
    """The same in words."""


class StepFinished(Event):
    """One optimizer step. `loss` is the mean over the step's trained tokens."""

    kind: Literal["step"] = "step"
    step: int
    loss: float
    grad_norm: float
    learning_rate: float
    tokens: int
    trained_tokens: int
    seconds: float
    epoch: float
    memory: int | None = None
    """Peak device memory so far, in bytes; None on a CPU."""


class EvalFinished(Event):
    """Mean loss over all trained tokens of the held-out rows, by the definition that training uses."""

    kind: Literal["eval"] = "eval"
    step: int
    loss: float
    metrics: dict[str, float] = {}
    """"token_accuracy" always; "exact_match" (0 to 1) where the recipe asks for it."""
    rows: int
    trained_tokens: int
    is_best: bool = False


class SampleGenerated(Event):
    kind: Literal["sample"] = "sample"
    step: int
    index: int
    prompt: str
    text: str
    expected: str | None = None
    stopped: bool
    """Whether the model ended its turn by itself."""


class CheckpointSaved(Event):
    kind: Literal["checkpoint"] = "checkpoint"
    step: int
    path: str
    loss: float | None
    is_best: bool


class ControlApplied(Event):
    """A person's wish was carried out: pause, resume, stop, save, evaluate, sample, learning_rate, abort."""

    kind: Literal["control"] = "control"
    step: int
    action: str
    value: float | None = None


class WarningRaised(Event):
    kind: Literal["warning"] = "warning"
    message: str
    hint: str = ""


class ProofFinished(Event):
    """The saved adapter, read back from disk through PEFT, against the live model and the base on held-out rows."""

    kind: Literal["proof"] = "proof"
    passed: bool
    positions: int
    """Trained tokens that were compared."""
    max_difference_to_live: float
    """Largest difference of a log-probability of a trained token, saved against live."""
    tolerance: float
    mean_difference_to_base: float
    """Mean absolute difference of the same log-probabilities, saved against base."""
    kl_to_base: float
    loss_saved: float
    loss_live: float
    loss_base: float
    tensors: int
    adapter_hash: str
    message: str


class RunFinished(Event):
    kind: Literal["run_finished"] = "run_finished"
    outcome: Outcome
    step: int
    adapter: str
    best_loss: float | None
    best_step: int | None
    seconds: float
    tokens: int


class RunFailed(Event):
    kind: Literal["run_failed"] = "run_failed"
    error: str
    message: str
    hint: str = ""
    step: int = 0


TrainEvent = Annotated[
    RunStarted
    | RunResumed
    | PhaseStarted
    | Progress
    | DataReady
    | RowLabelled
    | ModelReady
    | AdapterAudited
    | WeightsChecked
    | MemoryProbed
    | MemoryExceeded
    | StepFinished
    | EvalFinished
    | SampleGenerated
    | CheckpointSaved
    | ControlApplied
    | WarningRaised
    | ProofFinished
    | RunFinished
    | RunFailed,
    Field(discriminator="kind"),
]
EVENT_CODEC: TypeAdapter[Any] = TypeAdapter(TrainEvent, config=ConfigDict(defer_build=True))


def event_from_json(line: str | bytes) -> TrainEvent:
    """Parse one journal line. Raises pydantic's ValidationError (a ValueError) for anything else."""
    event: TrainEvent = EVENT_CODEC.validate_json(line)
    return event


@dataclass(frozen=True, slots=True)
class Curve:
    """Points of (step, value), at most `MAX_CURVE_POINTS`: when full, every second one goes and the stride doubles."""

    points: tuple[tuple[int, float], ...] = ()
    stride: int = 1
    seen: int = 0

    def with_point(self, step: int, value: float) -> "Curve":
        if self.seen % self.stride:
            return replace(self, seen=self.seen + 1)
        points = (*self.points, (step, value))
        if len(points) < MAX_CURVE_POINTS:
            return Curve(points, self.stride, self.seen + 1)
        return Curve(points[::2], self.stride * 2, self.seen + 1)

    def with_points(self, points: Sequence[tuple[int, float]]) -> "Curve":
        """The same as `with_point` for one after the other, at a fraction of the cost."""
        kept, stride, seen = list(self.points), self.stride, self.seen
        for point in points:
            if not seen % stride:
                kept.append(point)
                if len(kept) >= MAX_CURVE_POINTS:
                    kept, stride = kept[::2], stride * 2
            seen += 1
        return Curve(tuple(kept), stride, seen)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """Everything a front end needs to draw a run: the fold of its events."""

    run_id: str = ""
    folder: str = ""
    plan: RunPlan | None = None
    data: DataFacts | None = None
    schedule: StepSchedule | None = None
    labelled_row: RowLabelled | None = None
    phase: Phase | None = None
    progress: Progress | None = None
    model: ModelReady | None = None
    audit: AdapterAudited | None = None
    weights: WeightsChecked | None = None
    """The last look at which weights have moved."""
    probe: MemoryProbed | None = None
    """The last one."""
    exceeded: tuple[MemoryExceeded, ...] = ()
    loading_began: float | None = None
    training_began: float | None = None
    first_step_seconds: float | None = None
    """From the beginning of loading to the end of the first step, without the looks at the base model in between."""
    started: float | None = None
    updated: float | None = None
    last_step: StepFinished | None = None
    recent_steps: tuple[StepFinished, ...] = ()
    """The last few, for the speed of the moment; the first steps of a run are slow."""
    tokens: int = 0
    training_seconds: float = 0.0
    losses: Curve = field(default_factory=Curve)
    learning_rates: Curve = field(default_factory=Curve)
    grad_norms: Curve = field(default_factory=Curve)
    speeds: Curve = field(default_factory=Curve)
    """Tokens a second, of each step by itself."""
    evals: tuple[EvalFinished, ...] = ()
    samples: tuple[SampleGenerated, ...] = ()
    checkpoints: tuple[CheckpointSaved, ...] = ()
    warnings: tuple[WarningRaised, ...] = ()
    controls: tuple[ControlApplied, ...] = ()
    paused: bool = False
    proof: ProofFinished | None = None
    finished: RunFinished | None = None
    failed: RunFailed | None = None
    resumed: tuple[RunResumed, ...] = ()
    savepoints: tuple["RunState", ...] = field(default=(), repr=False)
    """The state after each checkpoint that is kept on the disk, without savepoints of its own."""

    @property
    def step(self) -> int:
        return self.last_step.step if self.last_step else 0

    @property
    def total_steps(self) -> int | None:
        return self.schedule.total_steps if self.schedule else None

    @property
    def best_eval(self) -> EvalFinished | None:
        return min(self.evals, key=lambda one: one.loss, default=None)

    @property
    def tokens_per_second(self) -> float | None:
        return self.tokens / self.training_seconds if self.training_seconds > 0 else None

    @property
    def recent_tokens_per_second(self) -> float | None:
        seconds = sum(one.seconds for one in self.recent_steps)
        return sum(one.tokens for one in self.recent_steps) / seconds if seconds > 0 else None

    @property
    def seconds_left(self) -> float | None:
        """By the recent steps; evaluations to come are not foreseen."""
        if not self.total_steps or not self.recent_steps:
            return None
        seconds_per_step = sum(one.seconds for one in self.recent_steps) / len(self.recent_steps)
        return max(0, self.total_steps - self.step) * seconds_per_step

    def after(self, event: TrainEvent) -> "RunState":  # noqa: C901, PLR0911, PLR0912 - a case for each kind of event
        state = replace(self, updated=event.time)
        match event:
            case RunStarted():
                return replace(
                    state,
                    run_id=event.run_id,
                    folder=event.folder,
                    plan=event.plan,
                    schedule=event.plan.schedule,
                    started=self.started or event.time,
                )
            case RunResumed():
                return state._after_resume(event)
            case PhaseStarted():
                return state._after_phase(event)
            case Progress():
                return replace(state, progress=event)
            case DataReady():
                return replace(state, data=event.data, schedule=event.schedule)
            case RowLabelled():
                return replace(state, labelled_row=event)
            case ModelReady():
                return replace(state, model=event)
            case AdapterAudited():
                return replace(state, audit=event)
            case WeightsChecked():
                return replace(state, weights=event)
            case MemoryProbed():
                return replace(state, probe=event)
            case MemoryExceeded():
                return replace(state, exceeded=(*self.exceeded, event))
            case StepFinished():
                return self._after_steps([event])
            case EvalFinished():
                return replace(state, evals=(*self.evals, event))
            case SampleGenerated():
                return replace(state, samples=(*self.samples, event))
            case CheckpointSaved():
                return state._after_checkpoint(event)
            case ControlApplied():
                paused = event.action == "pause" or (self.paused and event.action != "resume")
                return replace(state, paused=paused, controls=(*self.controls, event))
            case WarningRaised():
                return replace(state, warnings=(*self.warnings, event))
            case ProofFinished():
                return replace(state, proof=event)
            case RunFinished():
                return replace(state, finished=event)
            case RunFailed():
                return replace(state, failed=event)
            case _:
                assert_never(event)

    def _after_phase(self, event: PhaseStarted) -> "RunState":
        state = replace(self, updated=event.time, phase=event.phase, progress=None)
        if event.phase is Phase.LOADING:
            return replace(state, loading_began=event.time)
        return replace(state, training_began=event.time) if event.phase is Phase.TRAINING else state

    def _first_step_seconds(self, event: StepFinished) -> float | None:
        """Of the first step since the model was loaded."""
        if self.first_step_seconds is not None or self.model is None or self.training_began is None:
            return self.first_step_seconds
        return self.model.seconds + event.time - self.training_began

    def _after_checkpoint(self, event: CheckpointSaved) -> "RunState":
        state = replace(self, checkpoints=(*self.checkpoints, event), savepoints=())
        num_kept = self.plan.recipe.training.keep_checkpoints if self.plan else 1
        saved = (*self.savepoints, state)
        best = max((number for number, one in enumerate(saved) if one.checkpoints[-1].is_best), default=-1)
        kept = tuple(one for number, one in enumerate(saved) if number >= len(saved) - num_kept or number == best)
        return replace(state, savepoints=kept)

    def _after_resume(self, event: RunResumed) -> "RunState":
        """The state as it was at the checkpoint, or at the beginning of the run."""
        name = event.checkpoint.rsplit("/", 1)[-1]
        earlier = tuple(one for one in self.savepoints if one.step <= event.step)
        base = next((one for one in earlier if one.checkpoints[-1].path.rsplit("/", 1)[-1] == name), None)
        base = base or RunState(run_id=self.run_id, plan=self.plan, data=self.data, schedule=self.schedule)
        return replace(
            base,
            folder=event.folder,
            plan=event.plan or self.plan,
            labelled_row=self.labelled_row,
            started=self.started,
            updated=self.updated,
            paused=False,
            resumed=(*self.resumed, event),
            savepoints=earlier,
        )

    def after_all(self, events: Sequence[TrainEvent]) -> "RunState":
        """The same as `after` for one after the other; many steps in a row cost hardly more than one."""
        state = self
        for is_step, group in itertools.groupby(events, key=lambda event: isinstance(event, StepFinished)):
            if is_step:
                state = state._after_steps([event for event in group if isinstance(event, StepFinished)])
            else:
                for event in group:
                    state = state.after(event)
        return state

    def _after_steps(self, events: Sequence[StepFinished]) -> "RunState":
        return replace(
            self,
            updated=events[-1].time,
            last_step=events[-1],
            first_step_seconds=self._first_step_seconds(events[0]),
            recent_steps=(*self.recent_steps, *events)[-NUM_RECENT_STEPS:],
            tokens=self.tokens + sum(event.tokens for event in events),
            # One after the other, so that the sum does not depend on how they are grouped.
            training_seconds=functools.reduce(operator.add, (event.seconds for event in events), self.training_seconds),
            losses=self.losses.with_points([(event.step, event.loss) for event in events]),
            learning_rates=self.learning_rates.with_points([(event.step, event.learning_rate) for event in events]),
            grad_norms=self.grad_norms.with_points([(event.step, event.grad_norm) for event in events]),
            speeds=self.speeds.with_points([(event.step, event.tokens / max(event.seconds, 1e-9)) for event in events]),
        )
