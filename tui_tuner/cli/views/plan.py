"""A plan, drawn: model, adapter, data, schedule, memory, and why each "auto" became what it is."""

from rich.console import Group, RenderableType
from rich.text import Text

from tui_tuner import units
from tui_tuner.cli.views.adapter import adapter_block
from tui_tuner.cli.views.blocks import block, columns, facts, joined, mark, outside, remarks
from tui_tuner.cli.views.memory import memory_block
from tui_tuner.plan import DataFacts, ModelFacts, NameDecision, RunPlan, SourceFacts, StepSchedule
from tui_tuner.planning.speed import speed_words

MAX_DECISION_WIDTH = 38
_AFTER_WARMUP = {
    "linear": "then down to zero in a line",
    "cosine": "then down to zero in a half cosine",
    "constant": "then flat",
}


def plan_view(plan: RunPlan) -> RenderableType:
    blocks = [
        _model_block(plan),
        adapter_block(plan.adapter, plan.model.num_layers),
        data_block(plan.data),
        _schedule_block(plan),
        memory_block(plan.memory, plan.device),
        _decisions_block(plan),
    ]
    return Group("", *blocks, *([_warnings_block(plan.warnings)] if plan.warnings else []))


def data_block(data: DataFacts, padding_share: float | None = None) -> RenderableType:
    """The data as planned from a sample of rows, or exactly once `is_exact`; the share where batches are known."""
    is_weighted = any(source.weight != 1.0 for source in data.sources)
    sources = [(("read" if place == 0 else ""), _source(one, is_weighted)) for place, one in enumerate(data.sources)]
    held_out = [
        (("held out" if place == 0 else ""), _source(one, False)) for place, one in enumerate(data.evaluation_sources)
    ]
    about = "" if data.is_exact else "about "
    tokens = [f"{about}{units.short_count(data.num_tokens)} tokens"] if data.num_tokens else []
    if data.num_tokens and data.num_trained_tokens is not None:
        tokens += [f"{units.percent(data.num_trained_tokens / data.num_tokens)} of them trained"]
    lengths = [f"longest {units.count(data.longest)}"] if data.longest else []
    lengths += [f"99 % up to {units.count(data.p99_length)}"] if data.p99_length else []
    packed = f"{units.count(data.num_sequences)} packed sequences" if data.packing and data.num_sequences else ""
    batches = "" if padding_share is None else f"{units.percent(padding_share)} of all positions are padding"
    headline = f"{units.counted(data.num_rows, 'row')} to learn from, {units.count(data.num_evaluation_rows)} held out"
    return block(
        "Data",
        headline,
        facts(
            [
                *sources,
                *held_out,
                ("template", data.template),
                *([("tokens", joined(*tokens))] if tokens else []),
                ("length", joined(f"max {units.count(data.max_length)}", *lengths, packed)),
                *([("batches", f"{batches} · every label checked at its place")] if batches else []),
                *([("left out", _left_out(data))] if data.num_cut or data.num_dropped else []),
            ]
        ),
    )


def _left_out(data: DataFacts) -> Text:
    cut = f"{units.counted(data.num_cut, 'row')} cut at the max length" if data.num_cut else ""
    dropped = f"{units.counted(data.num_dropped, 'row')} dropped" if data.num_dropped else ""
    return Text.assemble(mark("warn"), " ", joined(cut, dropped))


def _source(source: SourceFacts, is_weighted: bool) -> Text:
    weight = f"weight {source.weight:g}" if is_weighted else ""
    return joined(
        outside(source.path), units.counted(source.num_rows, "row"), f"{source.shape}: {source.shape_reason}", weight
    )


def _model_block(plan: RunPlan) -> RenderableType:
    model = plan.model
    held = "as stored" if plan.quantization == model.stored_quantization else "quantised while loading"
    held_in = f"{plan.quantization}, {held}" if plan.quantization != "none" else plan.dtype
    device = {"cuda": "the GPU", "cpu": "the CPU"}[plan.device]
    size = (
        f"{units.file_size(model.weight_bytes)} in {units.counted(len(model.weight_files), 'file')}"
        if model.weight_bytes
        else ""
    )
    return block(
        "Model",
        joined(
            Text(model.source.rstrip("/").rsplit("/", 1)[-1], style="strong"),
            f"{units.count(model.num_parameters)} parameters",
        ),
        facts(
            [
                *_name_rows(plan.name),
                ("kind", joined(_family(model), model.architecture)),
                ("shape", joined(*_shape(model))),
                ("held", joined(held_in, f"computed in {plan.dtype} on {device}", size)),
                *(("unknown", unknown) for unknown in model.unknowns),
            ]
        ),
    )


def _name_rows(name: NameDecision) -> list[tuple[str, str | Text]]:
    if name.typed == name.loads:
        return [("loads", joined(name.loads, name.reason))]
    swapped = mark("warn") if name.is_swapped else mark("good")
    return [
        ("typed", name.typed),
        ("loads", Text.assemble(swapped, " ", outside(name.loads))),
        ("because", name.reason),
    ]


def _family(model: ModelFacts) -> Text:
    if model.is_accelerated:
        return outside(f"{model.family}, accelerated")
    return Text.assemble(mark("warn"), " ", outside(f"{model.family}, not accelerated"))


def _shape(model: ModelFacts) -> tuple[str, ...]:
    heads = f"{model.num_heads} heads"
    shared = f", {model.num_kv_heads} for keys and values" if model.num_kv_heads != model.num_heads else ""
    return (
        f"{model.num_layers} layers of {units.count(model.hidden_size)}",
        heads + shared,
        f"vocabulary {units.count(model.vocab_size)}",
        f"context {units.count(model.context_length)}",
    )


def _schedule_block(plan: RunPlan) -> RenderableType:
    schedule = plan.schedule
    headline = [units.counted(schedule.total_steps, "step")]
    headline += [f"about {units.short_count(schedule.total_tokens)} tokens"] if schedule.total_tokens else []
    rates = plan.learning_rates
    others = f"embeddings and head {units.rate(rates.embedding)}, norms {units.rate(rates.norm)}"
    saved = others if plan.adapter.saved_modules else ""
    ratio = f"B matrices {rates.lora_plus_ratio:g} times that" if rates.lora_plus_ratio != 1.0 else ""
    return block(
        "Schedule",
        joined(*headline),
        facts(
            [
                ("a step", joined(*_step(schedule))),
                ("rate", joined(f"{units.rate(rates.adapter)} at its peak", saved, ratio)),
                ("course", joined(*_course(schedule))),
                ("looks", joined(_every("evaluates", schedule.evaluate_every), _every("saves", schedule.save_every))),
                *([("time", joined(speed_words(plan.speed), outside(plan.speed.reason)))] if plan.speed else []),
            ]
        ),
    )


def _step(schedule: StepSchedule) -> tuple[str, ...]:
    sequences = units.counted(schedule.micro_batch_size, "sequence")
    if schedule.gradient_accumulation > 1:
        sequences += f" × {schedule.gradient_accumulation} micro-batches"
    tokens = f"about {units.count(schedule.tokens_per_step)} tokens" if schedule.tokens_per_step else ""
    epoch = f"an epoch is {units.counted(schedule.steps_per_epoch, 'step')}" if schedule.steps_per_epoch else ""
    return sequences, tokens, epoch


def _every(does: str, steps: int) -> str:
    return f"{does} every step" if steps == 1 else f"{does} every {units.count(steps)} steps"


def _course(schedule: StepSchedule) -> tuple[str, str]:
    warmup = f"warm-up over {units.counted(schedule.warmup_steps, 'step')}" if schedule.warmup_steps else "no warm-up"
    return warmup, _AFTER_WARMUP[schedule.schedule]


def _decisions_block(plan: RunPlan) -> RenderableType:
    table = columns("", "")
    table.columns[0].max_width = MAX_DECISION_WIDTH
    for decision in plan.decisions:
        setting = Text.assemble(outside(decision.field), (" = ", "quiet"), outside(decision.value, "strong"))
        table.add_row(setting, outside(decision.reason, "quiet"))
    return block("Decided", "what was left to tuner, and why", table)


def _warnings_block(warnings: tuple[str, ...]) -> RenderableType:
    return block("Warnings", f"{len(warnings)} to read", remarks(warnings))
