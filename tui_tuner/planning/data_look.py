"""A first look at a recipe's data for a model that is known already: lengths come from a sample of the rows."""

from pathlib import Path

from tui_tuner.data.data_survey import survey_data
from tui_tuner.data.rendering.pool import RenderPool
from tui_tuner.plan import DataFacts
from tui_tuner.planning.model_facts import BaseModel
from tui_tuner.planning.settled_values import recipe_for_data
from tui_tuner.recipe import Recipe


def look_at_data(recipe: Recipe, base: BaseModel) -> DataFacts:
    """Count and sample the rows, and detect their shape.

    Raises:
        DataError: the data, the template or the tokenizer cannot be used.
        RecipeError: the recipe asks of the data what cannot be.
    """
    folder = Path(base.facts.folder) if base.facts.folder is not None else None
    asked = recipe_for_data(recipe, base.facts)
    with RenderPool() as renderers:
        return survey_data(asked, folder, base.facts.context_length, renderers)
