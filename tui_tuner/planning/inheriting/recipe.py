"""The recipe of a run that goes on from an adapter: what it leaves open comes from there."""

from dataclasses import dataclass, replace
from pathlib import Path

from tui_tuner.errors import AdapterError, ModelError
from tui_tuner.places import path_of
from tui_tuner.plan import Decision
from tui_tuner.planning.inheriting.origin import (
    TEMPLATE_FILE,
    TOKENIZER_CONFIG_FILE,
    Origin,
    chat_template,
    read_origin,
)
from tui_tuner.recipe import Recipe

INHERITED = "as in the run that made the adapter"
CHANGED = "for this run; the run that made the adapter had"
RATES = {
    "learning_rate": "adapter",
    "embedding_learning_rate": "embedding",
    "norm_learning_rate": "norm",
    "lora_plus_ratio": "lora_plus_ratio",
}
"""Fields of the optimizer, and what the plan calls them."""
NEUTRAL = {"lora_plus_ratio": 1.0}
"""What needs no word where nothing changes it."""


@dataclass(frozen=True, slots=True)
class Inheritance:
    """A recipe with what was inherited, and the reason of each value."""

    recipe: Recipe
    decisions: tuple[Decision, ...] = ()
    origin: Origin | None = None

    def with_precision(self, quantization: str) -> tuple[Decision, ...]:
        """All decisions, now that it is known how the base is held."""
        before = self.origin.base.quantization if self.origin is not None else quantization
        if before == quantization:
            return self.decisions
        change = Decision(field="model.quantization", value=quantization, reason=f"{CHANGED} {before}")
        return (*self.decisions, change)


def inherit(recipe: Recipe, model_folder: Path | None) -> Inheritance:
    """Fill in learning rates and chat template; what the recipe sets itself stays, and is said to be a change.

    Args:
        model_folder: of the base model, whose own template needs no filling in.

    Raises:
        AdapterError: the folder's manifest is damaged, or the config is not the one that was saved.
    """
    if recipe.model.adapter is None:
        return Inheritance(recipe)
    folder = path_of(recipe.model.adapter)
    try:
        origin = read_origin(folder)
    except ModelError as error:
        raise AdapterError(error.message, error.hint) from error
    inherited = _with_template(Inheritance(recipe, origin=origin), folder, model_folder)
    return _with_rates(inherited, origin) if origin is not None else inherited


def is_inherited(decision: Decision) -> bool:
    """Whether a decision came from here; the data does not change it."""
    return decision.reason.startswith((INHERITED, CHANGED))


def _with_template(inherited: Inheritance, folder: Path, model_folder: Path | None) -> Inheritance:
    """The template that lies beside the adapter, if it is another than the model's; all trainers save it."""
    recipe, path = inherited.recipe, (folder / TEMPLATE_FILE).absolute()
    if recipe.data.chat_template == str(path) or chat_template(folder) in (None, chat_template(model_folder)):
        return inherited
    if recipe.data.chat_template != "auto" or not path.is_file():
        reason = f"{CHANGED} {path if path.is_file() else folder / TOKENIZER_CONFIG_FILE}"
        decision = Decision(field="data.chat_template", value=recipe.data.chat_template, reason=reason)
        return replace(inherited, decisions=(*inherited.decisions, decision))
    data = recipe.data.model_copy(update={"chat_template": str(path)})
    decision = Decision(field="data.chat_template", value=str(path), reason=INHERITED)
    recipe = recipe.model_copy(update={"data": data})
    return replace(inherited, recipe=recipe, decisions=(*inherited.decisions, decision))


def _with_rates(inherited: Inheritance, origin: Origin) -> Inheritance:
    section, decisions = inherited.recipe.optimizer, list(inherited.decisions)
    taken: dict[str, float] = {}
    for field, name in RATES.items():
        before: float = getattr(origin.learning_rates, name)
        is_open = field not in section.model_fields_set or getattr(section, field) == "auto"
        value = before if is_open else getattr(section, field)
        if is_open:
            taken[field] = before
        if value != before or before != NEUTRAL.get(field):
            reason = INHERITED if value == before else f"{CHANGED} {before:g}"
            decisions.append(Decision(field=f"optimizer.{field}", value=f"{value:g}", reason=reason))
    optimizer = section.model_copy(update=taken)
    recipe = inherited.recipe.model_copy(update={"optimizer": optimizer})
    return replace(inherited, recipe=recipe, decisions=tuple(decisions))
