"""The recipe: what a person asks for, as strict TOML. "auto" is an answer that the plan turns into a value."""

from tui_tuner.recipe.reading import check_recipe, parse_recipe, read_recipe
from tui_tuner.recipe.sections import (
    AccelerationSection,
    AdapterSection,
    Auto,
    DataSection,
    DataSource,
    ExportSection,
    ModelSection,
    ObjectiveSection,
    OptimizerSection,
    OutputSection,
    Recipe,
    TrackerName,
    TrainingSection,
)
from tui_tuner.recipe.writing import recipe_to_toml

__all__ = [
    "AccelerationSection",
    "AdapterSection",
    "Auto",
    "DataSection",
    "DataSource",
    "ExportSection",
    "ModelSection",
    "ObjectiveSection",
    "OptimizerSection",
    "OutputSection",
    "Recipe",
    "TrackerName",
    "TrainingSection",
    "check_recipe",
    "parse_recipe",
    "read_recipe",
    "recipe_to_toml",
]
