"""From a recipe to a plan: every "auto" becomes a value with a reason. Loads nothing and writes nothing."""

from collections.abc import Sequence
from pathlib import Path

from tui_tuner.errors import ModelError, Problem, RecipeError
from tui_tuner.hardware import Hardware
from tui_tuner.journal.speeds import MeasuredSpeed, measured_speeds
from tui_tuner.places import path_of
from tui_tuner.plan import AdapterPlan, DataFacts, Decision, ModelFacts, NameDecision, RunPlan
from tui_tuner.planning.adapters.plan import adapter_decisions, plan_adapter
from tui_tuner.planning.batch_plan import choose_batch
from tui_tuner.planning.hub.fetch import Fetch, fetch_from_hub, fetch_model
from tui_tuner.planning.inheriting.adapter import InheritedAdapter
from tui_tuner.planning.inheriting.reading import read_adapter
from tui_tuner.planning.inheriting.recipe import inherit, is_inherited
from tui_tuner.planning.machine_plan import (
    MachineChoice,
    choose_machine,
    device_name,
    machine_problems,
    quantised_module_problems,
    within_budget,
)
from tui_tuner.planning.model_facts import BaseModel, model_folder, read_base_model
from tui_tuner.planning.model_source import LocatedModel, locate_model
from tui_tuner.planning.schedule import make_schedule
from tui_tuner.planning.settled_values import (
    data_decisions,
    data_warnings,
    learning_rates,
    rate_decisions,
    recipe_for_data,
    schedule_decisions,
)
from tui_tuner.planning.speed import estimate_speed, renewed_speed
from tui_tuner.recipe import Recipe
from tui_tuner.trackers.sending import tracker_problems


def make_plan(recipe: Recipe, hardware: Hardware) -> RunPlan:
    """Resolve a recipe on this machine. Lengths come from a sample of the rows: see `refine_plan`.

    Raises:
        RecipeError: with everything that is wrong between recipe, model and machine.
        ModelError, DataError, AdapterError, MachineError: what the recipe names cannot be used.
    """
    from tui_tuner.data.rendering.pool import RenderPool

    with RenderPool() as renderers:  # its process gets ready while the rest is imported and read
        from tui_tuner.data.data_survey import survey_data

        located = locate_model(recipe.model)
        inheritance = inherit(recipe, located.folder)
        recipe = inheritance.recipe
        base = read_base_model(located, recipe.model)
        adapter, machine, decisions = _plan_model(recipe, hardware, base)
        asked = recipe_for_data(recipe, base.facts)
        data = survey_data(asked, located.folder, base.facts.context_length, renderers)
    decisions = (*decisions, *inheritance.with_precision(machine.quantization))
    plan = _assemble(recipe, located.name, base.facts, adapter, machine, data, decisions)
    measured = measured_speeds(path_of(recipe.output.folder), base.facts.source)
    return _with_speed(plan, hardware, measured)


def plan_for_data(
    recipe: Recipe,
    hardware: Hardware,
    base: BaseModel,
    name: NameDecision,
    data: DataFacts,
    measured: Sequence[MeasuredSpeed] = (),
) -> RunPlan:
    """The plan of a recipe whose model and data are known already. Raises as `make_plan` does.

    `measured`: earlier runs of this model, for the estimate of its speed.
    """
    inheritance = inherit(recipe, Path(base.facts.folder) if base.facts.folder else None)
    adapter, machine, decisions = _plan_model(inheritance.recipe, hardware, base)
    decisions = (*decisions, *inheritance.with_precision(machine.quantization))
    plan = _assemble(inheritance.recipe, name, base.facts, adapter, machine, data, decisions)
    return _with_speed(plan, hardware, measured)


def fetch_weights(plan: RunPlan, fetch: Fetch = fetch_from_hub) -> RunPlan:
    """The plan with the model's weights on this machine, fetched from the hub if they were not, and checked.

    Raises:
        ModelError: they cannot be fetched, or are not what config.json promises.
    """
    if plan.model.weight_files:
        return plan
    if plan.model.revision is not None:
        fetch_model(plan.name.loads, plan.model.revision, fetch)
    folder = model_folder(plan.model)
    located = LocatedModel(name=plan.name, folder=folder, revision=plan.model.revision, is_hub=True, is_complete=True)
    facts = read_base_model(located, plan.recipe.model).facts
    if not facts.weight_files:
        raise ModelError(f"{facts.source} has no weight files.", "Put its .safetensors files into the folder.")
    return plan.model_copy(update={"model": facts})


def refine_plan(plan: RunPlan, data: DataFacts) -> RunPlan:
    """The same plan over the exact data: what the model and the machine decided stays, batches and steps follow."""
    machine = MachineChoice(
        device=plan.device,
        dtype=plan.dtype,
        quantization=plan.quantization,
        kernels=plan.kernels,
        threads=plan.threads,
        available=_available(plan),
        host_available=plan.memory.host_available,
    )
    kept = tuple(decision for decision in plan.decisions if decision.field.startswith(("model.", "adapter")))
    kept += tuple(
        one
        for one in plan.decisions
        if one.field in ("acceleration.device", "acceleration.kernels", "acceleration.threads") or is_inherited(one)
    )
    refined = _assemble(plan.recipe, plan.name, plan.model, plan.adapter, machine, data, kept)
    return refined.model_copy(update={"speed": renewed_speed(refined, plan.speed), "rendered_at": plan.rendered_at})


def _available(plan: RunPlan) -> int | None:
    """What was free when the plan was made, or the recipe's budget where that has become less since."""
    available = plan.memory.available
    return available if available is None or plan.device == "cpu" else within_budget(plan.recipe, available)


def _with_speed(plan: RunPlan, hardware: Hardware, measured: Sequence[MeasuredSpeed]) -> RunPlan:
    return plan.model_copy(update={"speed": estimate_speed(plan, device_name(hardware, plan.device), measured)})


def _plan_model(
    recipe: Recipe, hardware: Hardware, base: BaseModel
) -> tuple[AdapterPlan, MachineChoice, tuple[Decision, ...]]:
    """What does not depend on the data. All problems of the recipe are raised together."""
    problems = [*machine_problems(recipe, hardware, base.facts), *tracker_problems(recipe.output.trackers)]
    try:
        inherited = _inherited(recipe)
        adapter = plan_adapter(recipe.adapter, base, inherited)
    except RecipeError as error:
        raise RecipeError([*problems, *error.problems]) from error
    machine, machine_decisions = choose_machine(recipe, hardware, base.facts, adapter)
    problems += quantised_module_problems(base.facts, adapter, machine)
    if problems:
        raise RecipeError(problems)
    return adapter, machine, (*machine_decisions, *adapter_decisions(adapter, recipe.adapter, inherited))


def _inherited(recipe: Recipe) -> InheritedAdapter | None:
    """The adapter that training goes on from, if it does."""
    if recipe.model.adapter is None:
        return None
    if recipe.adapter.method == "full":
        message = 'is "full", but model.adapter names an adapter to go on training; keep one'
        raise RecipeError([Problem(path="adapter.method", message=message)])
    return read_adapter(path_of(recipe.model.adapter))


def _assemble(
    recipe: Recipe,
    name: NameDecision,
    model: ModelFacts,
    adapter: AdapterPlan,
    machine: MachineChoice,
    data: DataFacts,
    decisions: tuple[Decision, ...],
) -> RunPlan:
    batch = choose_batch(recipe, model, adapter, machine, data)
    schedule = make_schedule(recipe, data, batch.micro_batch_size, batch.gradient_accumulation)
    rates = learning_rates(recipe, adapter)
    return RunPlan(
        recipe=recipe,
        name=name,
        model=model,
        adapter=adapter,
        data=data,
        memory=batch.memory,
        schedule=schedule,
        learning_rates=rates,
        device=machine.device,
        dtype=machine.dtype,
        quantization=machine.quantization,
        keeps_transposed=batch.keeps_transposed,
        dequantized_layers=batch.dequantized_layers,
        recompute=batch.recompute,
        layers=batch.layers,
        kernels=machine.kernels,
        threads=machine.threads,
        decisions=(
            *decisions,
            *data_decisions(recipe, model, data),
            *batch.decisions,
            *schedule_decisions(recipe, data, schedule),
            *rate_decisions(recipe, adapter, rates),
        ),
        warnings=(*batch.warnings, *data_warnings(data, schedule)),
    )
