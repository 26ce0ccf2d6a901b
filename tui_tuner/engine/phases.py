"""What happens between labelled data and the proof, as events. A run that is new and one that goes on share it."""

import time
from collections.abc import Iterator

from tui_tuner.controls import Controls
from tui_tuner.data.dataset import LabelledData
from tui_tuner.engine.building import build_loop
from tui_tuner.engine.checkpoints.choosing import Checkpoint
from tui_tuner.engine.continuing.audit import audit, refuse
from tui_tuner.engine.fitting.budget import memory_budget
from tui_tuner.engine.loop import TrainingLoop
from tui_tuner.engine.model import TrainingModel
from tui_tuner.engine.proof import prove
from tui_tuner.engine.recording import Recorder, aborted
from tui_tuner.errors import TrainingError
from tui_tuner.events import ModelReady, Outcome, Phase, PhaseStarted, RunFinished, TrainEvent, WarningRaised
from tui_tuner.plan import RunPlan
from tui_tuner.planning.own_layers.counts import plain_reason
from tui_tuner.planning.own_layers.ways import Way, way_words
from tui_tuner.units import counted


def phases(
    plan: RunPlan, data: LabelledData, controls: Controls, recorder: Recorder, checkpoint: Checkpoint | None = None
) -> Iterator[TrainEvent]:
    """Load, train, save and prove. With a checkpoint, training begins behind it.

    Raises:
        TunerError: the run cannot go on.
    """
    if checkpoint is None:
        for message in (*plan.warnings, *data.warnings):
            yield WarningRaised(message=message)
    yield PhaseStarted(phase=Phase.LOADING, detail=plan.model.source)
    began = time.perf_counter()
    loop = build_loop(plan, data, controls, recorder.journal, checkpoint)
    loop.began = began
    if checkpoint is not None and checkpoint.identity.device_name != loop.checkpoints.identity.device_name:
        before, now = checkpoint.identity.device_name, loop.checkpoints.identity.device_name
        yield WarningRaised(message=f"The run was on {before} and goes on on {now}: results may differ in last digits.")
    yield ModelReady(
        groups=loop.optimizer.groups,
        num_trainable=loop.trained.num_parameters,
        num_total=plan.adapter.num_total,
        base_fingerprint=loop.results.provenance.base_fingerprint,
        swaps=_swaps(plan, loop.model),
        seconds=time.perf_counter() - began,
        weights_seconds=loop.weights_seconds,
    )
    yield from _audit(loop)
    looks_at_base = bool(data.evaluation or loop.held_out.sample_questions) and checkpoint is None
    if looks_at_base and not controls.is_stopping:
        start = "the base model" if loop.loaded is None else "the adapter as it was"
        yield PhaseStarted(phase=Phase.BASELINE, detail=f"{start} on the held-out rows")
        yield from loop.look_at_base()
    yield PhaseStarted(phase=Phase.TRAINING, detail=f"{plan.schedule.total_steps:,} steps")
    with memory_budget(plan):
        yield from loop.train()
    if controls.is_aborting:
        yield aborted(recorder)
        return
    yield from _result(loop, recorder)


def _audit(loop: TrainingLoop) -> Iterator[TrainEvent]:
    """What of an adapter that is gone on with is trained again. Raises AdapterError where it is not all of it."""
    if loop.loaded is not None:
        audited = audit(loop.loaded, loop.model.module, loop.trained, loop.optimizer.groups)
        yield audited
        refuse(audited)


def _result(loop: TrainingLoop, recorder: Recorder) -> Iterator[TrainEvent]:
    """Measure, save and prove what was trained, if anything was."""
    if loop.step == 0:
        yield _finished(loop, recorder, adapter="")
        return
    yield from loop.check_weights()
    yield from loop.look_at_result()
    yield PhaseStarted(phase=Phase.SAVING)
    folder = loop.results.save_result(recorder.state)
    yield PhaseStarted(phase=Phase.PROVING, detail="the saved weights, read back, against the live model and the base")
    proof = prove(loop.model, loop.trained, loop.plan, folder, loop.data.evaluation or loop.data.train)
    yield proof
    if not proof.passed:
        raise TrainingError(f"The proof failed: {proof.message}.", "Do not use this adapter; please report this.")
    yield _finished(loop, recorder, adapter=str(folder))


def _swaps(plan: RunPlan, model: TrainingModel) -> tuple[str, ...]:
    """What stands in for the model's own code, in words."""
    adapters = (f"{len(plan.adapter.targets)} linear modules carry adapters",) if plan.adapter.targets else ()
    loss = (
        "loss from the supervised rows only, without full logits" if model.head else "loss from the model's own logits"
    )
    return (*adapters, _layers(plan, model), *_base(plan, model), loss)


def _base(plan: RunPlan, model: TrainingModel) -> tuple[str, ...]:
    if plan.quantization == "fp8":
        return ("8-bit products with the base; adapters and head stay in their own type",)
    if plan.dequantized_layers and model.decoder is not None:
        return (f"weights of {counted(plan.dequantized_layers, 'layer')} held in {plan.dtype} beside their 4 bits",)
    return ()


def _layers(plan: RunPlan, model: TrainingModel) -> str:
    if model.decoder is None:
        return f"the model's own layers: {model.obstacle}"
    beside = plain_reason(plan.adapter)
    words = f"decoder {way_words(Way(plan.recompute, plan.layers))}".replace("layers:", "layers of tuner:")
    return words if beside is None else f"{words}; adapters beside the joined products ({beside})"


def _finished(loop: TrainingLoop, recorder: Recorder, adapter: str) -> RunFinished:
    best = recorder.state.best_eval
    is_complete = loop.step >= loop.plan.schedule.total_steps
    return RunFinished(
        outcome=Outcome.COMPLETED if is_complete else Outcome.STOPPED,
        step=loop.step,
        adapter=adapter,
        best_loss=best.loss if best else None,
        best_step=best.step if best else None,
        seconds=loop.seconds,
        tokens=recorder.state.tokens,
    )
