"""Plans and scripted events that stand in for real runs, so that what draws and stores them is tested without torch."""

import math
from collections.abc import Iterator

from tui_tuner.events import (
    CheckpointSaved,
    DataReady,
    EvalFinished,
    ModelReady,
    Outcome,
    Phase,
    PhaseStarted,
    Progress,
    ProofFinished,
    RunFinished,
    RunStarted,
    SampleGenerated,
    StepFinished,
    TrainableGroup,
    TrainEvent,
    WarningRaised,
)
from tui_tuner.plan import (
    AdapterPlan,
    DataFacts,
    Decision,
    LearningRates,
    LoraTarget,
    MemoryEstimate,
    ModelFacts,
    NameDecision,
    RunPlan,
    SourceFacts,
    StepSchedule,
    TrainedModule,
)
from tui_tuner.recipe import parse_recipe

GIB = 2**30
NOON = 1_785_585_600.0
LLAMA_8B_SHAPES = {
    "self_attn.q_proj": (4096, 4096),
    "self_attn.k_proj": (4096, 1024),
    "self_attn.v_proj": (4096, 1024),
    "self_attn.o_proj": (4096, 4096),
    "mlp.gate_proj": (4096, 14336),
    "mlp.up_proj": (4096, 14336),
    "mlp.down_proj": (14336, 4096),
}


def llama_plan(*, steps: int = 40, saved: tuple[TrainedModule, ...] = (), warnings: tuple[str, ...] = ()) -> RunPlan:
    """Llama-3.1-8B in 4 bit with rank 16 on all linear modules."""
    recipe = parse_recipe(
        '[model]\nsource = "meta-llama/Llama-3.1-8B-Instruct"\n[[data.sources]]\npath = "data/support/train.jsonl"\n'
    )
    return RunPlan(
        recipe=recipe,
        name=NameDecision(
            typed="meta-llama/Llama-3.1-8B-Instruct",
            loads="unsloth/Meta-Llama-3.1-8B-Instruct-bnb-4bit",
            reason="nf4 was asked for and the pre-quantised twin is in the cache: 5.7 GB instead of 16.1 GB to read",
            alternatives=("meta-llama/Llama-3.1-8B-Instruct",),
            is_swapped=True,
        ),
        model=_llama_facts(),
        adapter=_adapter(saved),
        data=data_facts(),
        memory=memory(),
        schedule=schedule(steps),
        learning_rates=LearningRates(adapter=2e-4, embedding=2e-5, norm=2e-4, lora_plus_ratio=1.0),
        device="cuda",
        dtype="bfloat16",
        quantization="nf4",
        recompute="layers",
        kernels="on",
        decisions=_decisions(),
        warnings=warnings,
    )


def _llama_facts() -> ModelFacts:
    return ModelFacts(
        source="unsloth/Meta-Llama-3.1-8B-Instruct-bnb-4bit",
        folder="/home/ada/.cache/huggingface/hub/models--unsloth--Meta-Llama-3.1-8B-Instruct-bnb-4bit/snapshots/f15c",
        model_type="llama",
        architecture="LlamaForCausalLM",
        family="llama",
        is_accelerated=True,
        dtype="bfloat16",
        hidden_size=4096,
        num_layers=32,
        num_heads=32,
        num_kv_heads=8,
        head_dim=128,
        intermediate_size=14336,
        vocab_size=128256,
        context_length=131072,
        tied_embeddings=False,
        num_parameters=8_030_261_248,
        num_linear_parameters=6_979_321_856,
        weight_files=("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"),
        weight_bytes=5_702_746_403,
        stored_quantization="nf4",
    )


def _adapter(saved: tuple[TrainedModule, ...]) -> AdapterPlan:
    targets = tuple(
        LoraTarget(path=f"model.layers.{layer}.{name}", in_features=rows, out_features=columns,
                   num_trainable=16 * (rows + columns))
        for layer in range(32)
        for name, (rows, columns) in LLAMA_8B_SHAPES.items()
    )  # fmt: skip
    num_adapter = sum(target.num_trainable for target in targets)
    num_saved = sum(module.num_parameters for module in saved if not module.is_tied)
    return AdapterPlan(
        method="lora",
        rank=16,
        alpha=32.0,
        scaling=2.0,
        dropout=0.0,
        use_rslora=False,
        use_dora=False,
        target_names=tuple(name.split(".")[-1] for name in LLAMA_8B_SHAPES),
        targets=targets,
        layers=None,
        modules_to_save=tuple(module.path.split(".")[-1] for module in saved),
        saved_modules=saved,
        num_adapter_parameters=num_adapter,
        num_saved_module_parameters=num_saved,
        num_trainable=num_adapter + num_saved,
        num_total=8_030_261_248 + num_adapter + num_saved,
        adapter_bytes=4 * (num_adapter + num_saved),
    )


def data_facts(*, is_exact: bool = False) -> DataFacts:
    source = SourceFacts(
        path="data/support/train.jsonl",
        files=("data/support/train.jsonl",),
        shape="messages",
        shape_reason='every row has "messages" with roles and contents',
        columns={},
        num_rows=7473,
    )
    return DataFacts(
        sources=(source,),
        template="the model's own",
        num_rows=7273,
        num_evaluation_rows=200,
        num_dropped=2 if is_exact else 0,
        num_cut=31 if is_exact else 0,
        num_tokens=1_312_400,
        num_trained_tokens=406_844,
        longest=3110,
        p99_length=2011,
        max_length=2048,
        packing=True,
        num_sequences=652,
        is_exact=is_exact,
    )


def memory(*, available: int | None = 24 * GIB) -> MemoryEstimate:
    parts = {
        "weights": int(5.31 * GIB),
        "adapters": int(0.16 * GIB),
        "gradients": int(0.16 * GIB),
        "optimizer": int(0.31 * GIB),
        "activations": int(3.02 * GIB),
        "loss": int(0.98 * GIB),
        "reserve": int(1.2 * GIB),
    }
    return MemoryEstimate(**parts, total=sum(parts.values()), available=available)


def schedule(steps: int = 40) -> StepSchedule:
    return StepSchedule(
        total_steps=steps,
        warmup_steps=5,
        schedule="linear",
        micro_batch_size=4,
        gradient_accumulation=4,
        steps_per_epoch=41,
        tokens_per_step=32_768,
        total_tokens=32_768 * steps,
        evaluate_every=10,
        save_every=10,
    )


def _decisions() -> tuple[Decision, ...]:
    return (
        Decision(field="model.quantization", value="nf4", reason="the files are stored as nf4"),
        Decision(field="model.dtype", value="bfloat16", reason="the GPU computes in it at full speed"),
        Decision(
            field="adapter.targets",
            value="q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj",
            reason="all linear modules of each layer",
        ),
        Decision(field="data.max_length", value="2048", reason="covers 99 % of the rows (p99 is 2,011, longest 3,110)"),
        Decision(field="data.packing", value="true", reason="rows are short: 652 sequences instead of 7,273"),
        Decision(
            field="training.micro_batch_size", value="4", reason="the largest that fits 24.0 GiB with a reserve of 5 %"
        ),
        Decision(
            field="training.gradient_accumulation",
            value="4",
            reason="16 sequences a step is the middle of what works well",
        ),
    )


def scripted_events(*, steps: int = 40, plan: RunPlan | None = None) -> Iterator[TrainEvent]:
    """A whole run that goes well: the loss falls from 2.31 towards 0.9, with an evaluation every ten steps."""
    plan = plan or llama_plan(steps=steps)
    yield RunStarted(
        time=NOON, run_id="20260801-120000-llama", folder="runs/20260801-120000-llama", plan=plan, process_id=4471,
        versions={"torch": "2.13.0"},
    )  # fmt: skip
    yield PhaseStarted(time=NOON + 1, phase=Phase.LABELLING, detail="7,473 rows")
    yield Progress(time=NOON + 2, phase=Phase.LABELLING, done=4000, total=7473)
    yield DataReady(
        time=NOON + 3, data=data_facts(is_exact=True), schedule=plan.schedule, data_hash="d1", template_hash="t1"
    )
    yield PhaseStarted(time=NOON + 3, phase=Phase.LOADING, detail=plan.model.source)
    yield model_ready(plan)
    yield PhaseStarted(time=NOON + 20, phase=Phase.BASELINE, detail="200 rows")
    yield _evaluation(0, 2.314, 0.04, is_best=True)
    yield from _samples(0, ("I'm sorry, but I do not have access to order information.", "Paris is nice."))
    yield PhaseStarted(time=NOON + 30, phase=Phase.TRAINING)
    yield from _training(steps)
    yield WarningRaised(time=NOON + 100, message="31 rows were cut at 2,048 tokens.", hint="Raise data.max_length.")
    yield PhaseStarted(time=NOON + 110, phase=Phase.SAVING)
    yield PhaseStarted(time=NOON + 112, phase=Phase.PROVING)
    yield proof()
    yield RunFinished(
        time=NOON + 120, outcome=Outcome.COMPLETED, step=steps, adapter="runs/20260801-120000-llama/adapter",
        best_loss=1.03, best_step=steps, seconds=120.0, tokens=32_768 * steps,
    )  # fmt: skip


def model_ready(plan: RunPlan) -> ModelReady:
    group = TrainableGroup(
        name="adapter", num_tensors=448, num_parameters=41_943_040, learning_rate=2e-4, weight_decay=0.01
    )
    return ModelReady(
        time=NOON + 20,
        groups=(group,),
        num_trainable=plan.adapter.num_trainable,
        num_total=plan.adapter.num_total,
        base_fingerprint="f1",
        swaps=("loss from the supervised rows only",),
        seconds=16.4,
    )


def step_finished(step: int, *, loss: float | None = None, time: float | None = None) -> StepFinished:
    falling = 0.9 + 1.4 * math.exp(-step / 12) + 0.04 * math.sin(step * 2.1)
    return StepFinished(
        time=NOON + 30 + 2 * step if time is None else time,
        step=step,
        loss=falling if loss is None else loss,
        grad_norm=0.81,
        learning_rate=2e-4 * (1 - step / 1000),
        tokens=32_768,
        trained_tokens=10_158,
        seconds=1.78,
        epoch=step / 41,
        memory=int(11.9 * GIB),
    )


def proof(*, passed: bool = True) -> ProofFinished:
    return ProofFinished(
        time=NOON + 118,
        passed=passed,
        positions=16,
        max_difference_to_live=3.1e-6 if passed else 0.4,
        tolerance=1e-3,
        mean_difference_to_base=0.731,
        kl_to_base=0.42,
        loss_saved=1.0312,
        loss_live=1.0312,
        loss_base=2.3140,
        tensors=448,
        adapter_hash="9f2c4e61aa",
        message="saved equals live" if passed else "saved and live differ",
    )


def _training(steps: int) -> Iterator[TrainEvent]:
    for step in range(1, steps + 1):
        yield step_finished(step)
        if step % 10 == 0:
            loss = 1.0 + 1.3 * math.exp(-step / 11)
            yield _evaluation(step, loss, 0.1 + 0.8 * step / steps, is_best=True)
            yield from _samples(step, ("Order 4471 left Leeds at 06:10 and is due today before 18:00.", "Paris."))
            yield CheckpointSaved(
                time=NOON + 31 + 2 * step, step=step, path=f"checkpoints/step-{step}", loss=loss, is_best=True
            )


def _evaluation(step: int, loss: float, exact: float, *, is_best: bool) -> EvalFinished:
    return EvalFinished(
        time=NOON + 30.5 + 2 * step, step=step, loss=loss, metrics={"token_accuracy": 0.61, "exact_match": exact},
        rows=200, trained_tokens=11_204, is_best=is_best,
    )  # fmt: skip


def _samples(step: int, texts: tuple[str, ...]) -> Iterator[SampleGenerated]:
    prompts = ("Where is order 4471?", "What is the capital of France?")
    expected = ("Order 4471 left Leeds at 06:10 and is due today before 18:00.", "Paris.")
    for index, text in enumerate(texts):
        yield SampleGenerated(
            time=NOON + 30.6 + 2 * step, step=step, index=index, prompt=prompts[index], text=text,
            expected=expected[index], stopped=True,
        )  # fmt: skip
