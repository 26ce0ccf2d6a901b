"""What a run goes on with where its device has less memory, or more, than the plan took it to have. Pure values."""

from dataclasses import replace

from tui_tuner.plan import MemoryEstimate, MemoryFit, RunPlan
from tui_tuner.planning.fitting.case import MemoryCase, case_of
from tui_tuner.planning.own_layers.ways import Way, sending, smaller, way_words


def fitted(plan: RunPlan, fit: MemoryFit) -> RunPlan:
    """The plan with what the fit says instead. Its schedule's micro-batch may not divide the step any more."""
    way, schedule = way_of_fit(plan, fit), plan.schedule
    rows = schedule.micro_batch_size if fit.rows is None else fit.rows
    smaller_rows = schedule.model_copy(update={"micro_batch_size": rows})
    return plan.model_copy(update={"recompute": way.recompute, "layers": way.layers, "schedule": smaller_rows})


def way_of_fit(plan: RunPlan, fit: MemoryFit) -> Way:
    """What layers keep."""
    return Way(plan.recompute, plan.layers) if fit.recompute is None else Way(fit.recompute, fit.layers)


def with_way(fit: MemoryFit, way: Way) -> MemoryFit:
    return fit.model_copy(update={"recompute": way.recompute, "layers": way.layers})


def with_smaller_way(plan: RunPlan, fit: MemoryFit) -> MemoryFit | None:
    """The same with layers that keep less; None where they keep the least already."""
    way = smaller(way_of_fit(plan, fit))
    if way is None or way.recompute != "offload":
        return None if way is None else with_way(fit, way)
    # On a processor the host's memory is the device's.
    if plan.device == "cpu":
        return None
    case, rows = case_of(plan), plan.schedule.micro_batch_size if fit.rows is None else fit.rows
    if way.layers is not None and way.layers.sends != "input":
        way = sending(way, case.sends(rows))
    return with_way(fit, way) if case.fits_host(rows, way) else None


def fit_words(plan: RunPlan, fit: MemoryFit) -> str:
    """What is new in it."""
    rows = fit.rows if fit.rows is not None and fit.rows < plan.schedule.micro_batch_size else None
    parts = (
        f"micro-batches of {rows} sequence{'' if rows == 1 else 's'}" if rows is not None else "",
        f"packed sequences in {fit.parts} parts" if fit.parts > 1 else "",
        way_words(way_of_fit(plan, fit)) if fit.recompute is not None else "",
    )
    return "; ".join(part for part in parts if part) or "as planned"


def expected_peak(plan: RunPlan, fit: MemoryFit, rows: int, tokens: int) -> MemoryEstimate:
    """The estimate for one micro-batch of so many sequences and tokens in all."""
    case = _with_length(case_of(plan), -(-tokens // rows))
    return case.estimate(rows, way_of_fit(plan, fit))


def refit(plan: RunPlan, fit: MemoryFit, rows: int, tokens: int, above: int) -> MemoryFit:
    """The fastest way in which the largest micro-batch fits that was measured to take `above` more than expected.

    Only where the recipe leaves `acceleration.recompute` open; else the fit as it is. Where not even the smallest way
    fits, that one with half as many sequences, and so on.
    """
    if plan.recipe.acceleration.recompute != "auto" or plan.memory.available is None:
        return fit
    case = replace(_with_length(case_of(plan), -(-tokens // rows)), above=above)
    while (way := case.fastest(rows, "auto")) is None and rows > 1:
        rows = (rows + 1) // 2
        fit = fit.model_copy(update={"rows": rows})
    way = way or case.smallest(rows, "auto")
    return fit if way == way_of_fit(plan, fit) else with_way(fit, way)


def _with_length(case: MemoryCase, length: int) -> MemoryCase:
    return replace(case, settings=replace(case.settings, length=length))
