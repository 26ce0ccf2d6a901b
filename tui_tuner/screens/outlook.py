"""What follows from a draft, as far as it is known: the value that every readout and every living number is drawn from.

Pure: `look_ahead` computes in about a millisecond from facts that were read before. `facts_desk` reads them.
"""

from dataclasses import dataclass

from tui_tuner.errors import Problem, RecipeError, TunerError
from tui_tuner.hardware import Hardware
from tui_tuner.journal.speeds import MeasuredSpeed
from tui_tuner.plan import AdapterPlan, DataFacts, NameDecision, RunPlan, SourceFacts
from tui_tuner.planning.model_facts import BaseModel
from tui_tuner.planning.run_plan import plan_for_data
from tui_tuner.recipe import Recipe
from tui_tuner.screens.draft import UNCHOSEN, Draft

ASSUMED_ROWS = 1000
ASSUMED_LENGTH = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelAnswer:
    """What was found under `[model]`: the base model, or why not."""

    base: BaseModel | None = None
    name: NameDecision | None = None
    measured: tuple[MeasuredSpeed, ...] = ()
    """How fast earlier runs of it were."""
    failure: TunerError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DataAnswer:
    """What a first look at the data found, or why not."""

    facts: DataFacts | None = None
    failure: TunerError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that was read for the present draft; None where it is not chosen, or not read yet."""

    hardware: Hardware
    model: ModelAnswer | None = None
    data: DataAnswer | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """A draft and its consequences."""

    draft: Draft
    facts: Facts
    plan: RunPlan | None = None
    """The whole plan; over assumed data where `is_data_assumed`."""
    is_data_assumed: bool = True
    problems: tuple[Problem, ...] = ()
    failure: TunerError | None = None
    """What stands against a plan although each field is right by itself."""
    is_reading_model: bool = False
    is_reading_data: bool = False

    @property
    def base(self) -> BaseModel | None:
        return self.facts.model.base if self.facts.model else None

    @property
    def adapter(self) -> AdapterPlan | None:
        return self.plan.adapter if self.plan else None

    @property
    def can_start(self) -> bool:
        """Whether everything is chosen, read and planned; the labels are checked beside this."""
        is_settled = self.plan is not None and not self.is_data_assumed and self.draft.recipe is not None
        return is_settled and not (self.is_reading_model or self.is_reading_data)

    def problem_at(self, path: str) -> str:
        """What is wrong with a field, by its dotted path; empty where nothing is."""
        return next((one.message for one in self.problems if one.path == path), "")


def look_ahead(draft: Draft, facts: Facts) -> Outlook:
    """Everything that can be said of a draft now. Raises nothing: what is wrong is part of the answer."""
    recipe, problems = draft.preview
    model = facts.model
    if recipe is None or model is None or model.base is None or model.name is None:
        failure = model.failure if model else None
        return Outlook(draft=draft, facts=facts, problems=problems, failure=failure)
    known = facts.data.facts if facts.data else None
    data = known or assumed_data(model.base, recipe)
    try:
        plan = plan_for_data(recipe, facts.hardware, model.base, model.name, data, model.measured)
    except RecipeError as error:
        return Outlook(draft=draft, facts=facts, problems=error.problems)
    except TunerError as error:
        return Outlook(draft=draft, facts=facts, failure=error)
    failure = facts.data.failure if facts.data else None
    return Outlook(
        draft=draft, facts=facts, plan=plan, is_data_assumed=known is None, problems=draft.problems, failure=failure
    )


def assumed_data(base: BaseModel, recipe: Recipe) -> DataFacts:
    """Stands for data that were not chosen or not read: enough to show what a model and an adapter take."""
    length = min(ASSUMED_LENGTH, base.facts.context_length or ASSUMED_LENGTH)
    source = SourceFacts(
        path=UNCHOSEN, files=(), shape="messages", shape_reason="assumed", columns={}, num_rows=ASSUMED_ROWS
    )
    num_sources = len(recipe.data.sources)
    return DataFacts(
        sources=(source,) * num_sources,
        template="assumed",
        num_rows=ASSUMED_ROWS,
        num_evaluation_rows=50,
        num_tokens=ASSUMED_ROWS * length // 2,
        num_trained_tokens=ASSUMED_ROWS * length // 6,
        longest=length,
        p99_length=length,
        max_length=length,
        packing=False,
    )
