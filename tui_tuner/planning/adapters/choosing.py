"""Which modules of a model a recipe means, by PEFT's rules for names; every problem at once."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from tui_tuner.errors import Problem
from tui_tuner.families import ModuleShape
from tui_tuner.planning.model_facts import BaseModel
from tui_tuner.recipe import AdapterSection


@dataclass(frozen=True, slots=True)
class Choice:
    """Modules that were picked, before they are counted."""

    targets: tuple[ModuleShape, ...]
    saved: tuple[ModuleShape, ...]
    problems: tuple[Problem, ...] = ()


def is_target(path: str, name: str) -> bool:
    """Whether a name under adapter.targets means the module: PEFT's rule for target_modules."""
    return path == name or path.endswith(f".{name}")


def choose(section: AdapterSection, base: BaseModel) -> Choice:
    """Look every name of the section up among the model's modules; what fits none is among the problems."""
    linears = [module for module in base.modules if module.kind == "linear"]
    layer_problems = _layer_problems(section, base.facts.num_layers)
    if section.layers != "all":
        linears = [module for module in linears if module.layer in section.layers]
    if section.targets == "auto":
        targets, target_problems = tuple(linears), list[Problem]()
    else:
        named, target_problems = _named_targets(section.targets, base)
        targets = tuple(module for module in linears if module in named)
    saved, saved_problems = _saved_modules(section.modules_to_save, base)
    paths = {module.path for module in targets}
    both = next((module.path for module in saved if module.path in paths), None)
    if both is not None:
        message = f"{both} is trained in full here and gets an adapter under adapter.targets; keep one"
        saved_problems.append(Problem(path="adapter.modules_to_save", message=message))
    return Choice(targets, saved, (*layer_problems, *target_problems, *saved_problems))


def _layer_problems(section: AdapterSection, num_layers: int) -> list[Problem]:
    if section.layers == ():
        message = 'is an empty list; name at least one layer or write layers = "all"'
        return [Problem(path="adapter.layers", message=message)]
    beyond = [layer for layer in section.layers if isinstance(layer, int) and layer >= num_layers]
    if not beyond:
        return []
    message = f"names layer {beyond[0]}; the model has layers 0 to {num_layers - 1}"
    return [Problem(path="adapter.layers", message=message)]


def _named_targets(names: Sequence[str], base: BaseModel) -> tuple[set[ModuleShape], list[Problem]]:
    """Modules whose path is a name, or ends in a dot and the name: PEFT's rule for target_modules."""
    linears = [module for module in base.modules if module.kind == "linear"]
    unknown = [name for name in names if not any(is_target(module.path, name) for module in linears)]
    problems = [Problem(path="adapter.targets", message=_unknown_target(name, base)) for name in unknown]
    return {module for module in linears if any(is_target(module.path, name) for name in names)}, problems


def _unknown_target(name: str, base: BaseModel) -> str:
    if name == "all-linear":
        return '"all-linear" is written targets = "auto" here'
    if any(is_target(module.path, name) for module in base.modules):
        return f'"{name}" is no linear module of a layer; train it in full under adapter.modules_to_save'
    return f'no linear module is called "{name}"{_near(name, _leaf_names(base, ("linear",)))}'


def _saved_modules(names: Sequence[str], base: BaseModel) -> tuple[tuple[ModuleShape, ...], list[Problem]]:
    """Modules whose path ends in a name, in whatever part of a word: PEFT's rule for modules_to_save."""
    problems = []
    for name in names:
        if not name or not any(module.path.endswith(name) for module in base.modules):
            known = _leaf_names(base, ("embedding", "head", "norm", "linear", "other"))
            message = f'no module is called "{name}"{_near(name, known)}'
            problems.append(Problem(path="adapter.modules_to_save", message=message))
    chosen = tuple(module for module in base.modules if any(name and module.path.endswith(name) for name in names))
    if base.facts.tied_embeddings and any(module.kind in ("embedding", "head") for module in chosen):
        paths = {module.path for module in chosen}
        ends = {module.path for module in base.modules if module.kind in ("embedding", "head")}
        chosen = tuple(module for module in base.modules if module.path in paths | ends)
    return chosen, problems


def _leaf_names(base: BaseModel, kinds: tuple[str, ...]) -> list[str]:
    return list(dict.fromkeys(module.path.rpartition(".")[2] for module in base.modules if module.kind in kinds))


def _near(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f'; did you mean "{near[0]}"?' if near else f"; there are {', '.join(known)}"
