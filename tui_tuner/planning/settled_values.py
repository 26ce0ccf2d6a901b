"""Learning rates, and the reasons for what the data and the schedule settled."""

from math import ceil

from tui_tuner.plan import AdapterPlan, DataFacts, Decision, LearningRates, ModelFacts, StepSchedule
from tui_tuner.planning.schedule import LOOKING_SHARE, MANY_ROWS, epochs_of
from tui_tuner.recipe import Recipe

LORA_RATE = 2e-4
FULL_RATE = 2e-5
EMBEDDING_SHARE = 0.1
MANY_CUT = 0.05


def learning_rates(recipe: Recipe, adapter: AdapterPlan) -> LearningRates:
    """Peak rate of each group. In full fine-tuning every weight has the same rate unless the recipe says otherwise."""
    optimizer = recipe.optimizer
    is_full = adapter.method == "full"
    main = optimizer.learning_rate
    if main == "auto":
        main = FULL_RATE if is_full else LORA_RATE
    embedding = optimizer.embedding_learning_rate
    if embedding == "auto":
        embedding = main if is_full else main * EMBEDDING_SHARE
    norm = main if optimizer.norm_learning_rate == "auto" else optimizer.norm_learning_rate
    return LearningRates(adapter=main, embedding=embedding, norm=norm, lora_plus_ratio=optimizer.lora_plus_ratio)


def rate_decisions(recipe: Recipe, adapter: AdapterPlan, rates: LearningRates) -> tuple[Decision, ...]:
    """Reasons of the rates that the recipe left open and that some parameter has."""
    groups = {module.group for module in adapter.saved_modules}
    is_full = adapter.method == "full"
    found = []
    if recipe.optimizer.learning_rate == "auto":
        reason = "usual for full fine-tuning" if is_full else "usual for LoRA: ten times that of full fine-tuning"
        found.append(("learning_rate", rates.adapter, reason))
    if recipe.optimizer.embedding_learning_rate == "auto" and groups & {"embedding", "head"}:
        found.append(
            ("embedding_learning_rate", rates.embedding, "a tenth: trained embeddings and heads forget easily")
        )
    if recipe.optimizer.norm_learning_rate == "auto" and groups & {"norm", "other"}:
        found.append(("norm_learning_rate", rates.norm, "as the adapters"))
    return tuple(Decision(field=f"optimizer.{name}", value=f"{rate:g}", reason=reason) for name, rate, reason in found)


def recipe_for_data(recipe: Recipe, model: ModelFacts) -> Recipe:
    """The recipe as labelling takes it: an unknown architecture packs only where the recipe says so.

    Some keep no borders between the rows of a sequence, and nothing in their config tells which.
    """
    if model.is_accelerated or recipe.data.packing != "auto":
        return recipe
    return recipe.model_copy(update={"data": recipe.data.model_copy(update={"packing": False})})


def data_decisions(recipe: Recipe, model: ModelFacts, data: DataFacts) -> tuple[Decision, ...]:
    """Reasons of what the survey of the data settled."""
    decisions = [
        Decision(field=f"data.sources[{index}].shape", value=facts.shape, reason=facts.shape_reason)
        for index, (source, facts) in enumerate(zip(recipe.data.sources, data.sources, strict=True))
        if source.shape == "auto"
    ]
    asked = recipe.data
    if asked.chat_template == "auto":
        reason = "the model's own, or the one that suits a model without"
        decisions.append(Decision(field="data.chat_template", value=data.template, reason=reason))
    if asked.max_length == "auto":
        decisions.append(Decision(field="data.max_length", value=str(data.max_length), reason=_length_reason(data)))
    if asked.packing == "auto":
        reason = "many short rows share sequences" if data.packing else "few rows, or rows that fill a sequence each"
        if not model.is_accelerated:
            reason = f"{model.model_type} is no known family: it may not keep packed rows apart"
        decisions.append(Decision(field="data.packing", value=str(data.packing).lower(), reason=reason))
    if asked.evaluation_fraction == "auto" and not asked.evaluation_sources:
        reason = "5 % of the rows, at least 1 and at most 200"
        value = f"{data.num_evaluation_rows} rows"
        decisions.append(Decision(field="data.evaluation_fraction", value=value, reason=reason))
    return tuple(decisions)


def _length_reason(data: DataFacts) -> str:
    how = "" if data.is_exact else ", by a sample"
    if data.p99_length is None:
        return "within the model's context; the rows were not measured"
    if data.p99_length > data.max_length:
        return f"the model's context ends there; 99 % of the rows have at most {data.p99_length} tokens{how}"
    return f"99 % of the rows have at most {data.p99_length} tokens{how}"


def schedule_decisions(recipe: Recipe, data: DataFacts, schedule: StepSchedule) -> tuple[Decision, ...]:
    """Reasons of the run's length and of its stations."""
    training, total = recipe.training, schedule.total_steps
    decisions = []
    if training.epochs == "auto" and training.max_steps is None:
        more = "more" if data.num_rows > MANY_ROWS else "not more"
        reason = f"{data.num_rows:,} rows, {more} than {MANY_ROWS:,}: {total} steps"
        decisions.append(Decision(field="training.epochs", value=f"{epochs_of(recipe, data):g}", reason=reason))
    if recipe.optimizer.warmup_steps == "auto":
        value = str(schedule.warmup_steps)
        reason = f"5 % of {total} steps, and at least 5 in a run of 50 or more"
        decisions.append(Decision(field="optimizer.warmup_steps", value=value, reason=reason))
    if training.evaluate_every == "auto":
        value, looks = str(schedule.evaluate_every), ceil(total / schedule.evaluate_every)
        reason = f"{looks} looks; they add at most {LOOKING_SHARE:.0%} to the work"
        decisions.append(Decision(field="training.evaluate_every", value=value, reason=reason))
    if training.save_every == "auto":
        value, reason = str(schedule.save_every), "with each evaluation, so that the best step can be kept"
        decisions.append(Decision(field="training.save_every", value=value, reason=reason))
    return tuple(decisions)


def data_warnings(data: DataFacts, schedule: StepSchedule) -> tuple[str, ...]:
    """What a person should know before waiting for the run."""
    warnings = []
    how = "" if data.is_exact else "about "
    if data.num_cut > data.num_rows * MANY_CUT:
        warnings.append(
            f"{how}{data.num_cut:,} of {data.num_rows:,} rows are longer than {data.max_length} tokens: "
            "what is beyond is not learned"
        )
    if data.num_dropped > data.num_rows * MANY_CUT:
        warnings.append(
            f"{how}{data.num_dropped:,} rows are left out: too long for {data.max_length} tokens, or unusable"
        )
    if schedule.warmup_steps >= schedule.total_steps and schedule.warmup_steps:
        warnings.append(
            f"the warm-up of {schedule.warmup_steps} steps is as long as the run of {schedule.total_steps}: "
            "the learning rate does not fall"
        )
    return tuple(warnings)
