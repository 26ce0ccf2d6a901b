"""Exactly what will be trained, and how PEFT would count it, without loading anything."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from tui_tuner.errors import ModelError, Problem, RecipeError
from tui_tuner.families import ModuleShape
from tui_tuner.plan import AdapterPlan, Decision, LoraTarget, TrainedModule
from tui_tuner.planning.adapter_size import safetensors_bytes
from tui_tuner.planning.inherited_adapter import InheritedAdapter
from tui_tuner.planning.inheriting.tensor_names import PEFT_PREFIX
from tui_tuner.planning.model_facts import BaseModel
from tui_tuner.recipe import AdapterSection


@dataclass(frozen=True, slots=True)
class _Choice:
    """Modules that were picked, before they are counted."""

    targets: tuple[ModuleShape, ...]
    saved: tuple[ModuleShape, ...]
    problems: tuple[Problem, ...] = ()


def plan_adapter(section: AdapterSection, base: BaseModel, inherited: InheritedAdapter | None = None) -> AdapterPlan:
    """Resolve targets and whole modules on the base model's modules.

    Args:
        inherited: the adapter that training goes on from; its rank, variant, targets and modules are taken.

    Raises:
        RecipeError: names that fit no module, layers that do not exist, or contradictions to the inherited adapter.
        AdapterError: the inherited tensors are not those that its settings give on this model.
        ModelError: the modules of the model are not known.
    """
    if not base.modules:
        raise ModelError(
            f"{base.facts.model_type} is no known family, and without weight files its modules cannot be listed.",
            f"Fetch them with `hf download {base.facts.source}`, or choose a model of a known family.",
        )
    if section.method == "full":
        return _full_plan(section, base)
    if inherited is not None:
        inherited = inherited.on(base.family)
        inherited.check_vocabulary(base.facts.vocab_size)
        section = inherited.applied_to(section, base.modules)
    choice = _choose(section, base)
    if choice.problems:
        raise RecipeError(choice.problems)
    tensors = _adapter_tensors(section, choice)
    if inherited is not None:
        inherited.check_tensors(tensors)
    return _lora_plan(section, base, choice, tensors, str(inherited.folder) if inherited is not None else None)


def adapter_decisions(
    plan: AdapterPlan, section: AdapterSection, inherited: InheritedAdapter | None = None
) -> tuple[Decision, ...]:
    """What of the plan a person should know the reason of."""
    decisions = []
    if plan.continues is not None:
        reason = f"rank, alpha, variant, targets and whole modules are those of {plan.continues}"
        decisions.append(Decision(field="adapter", value="continued", reason=reason))
        is_new = "dropout" in section.model_fields_set
        reason = "as the recipe says, whatever the adapter had" if is_new else "as in the adapter"
        decisions.append(Decision(field="adapter.dropout", value=f"{plan.dropout:g}", reason=reason))
    if inherited is not None and inherited.unnamed_modules:
        value = ", ".join(inherited.unnamed_modules)
        reason = "the adapter's file holds them in full, although its config does not name them: they are trained again"
        decisions.append(Decision(field="adapter.modules_to_save", value=value, reason=reason))
    elif inherited is None and plan.method == "lora" and section.targets == "auto":
        value = ", ".join(dict.fromkeys(target.path.rpartition(".")[2] for target in plan.targets))
        reason = "all linear modules of each layer: attention alone learns less for the same number of parameters"
        decisions.append(Decision(field="adapter.targets", value=value, reason=reason))
    if any(module.is_tied for module in plan.saved_modules):
        reason = "this model's embedding and head are one matrix: trained and counted once, saved under both names"
        decisions.append(Decision(field="adapter.modules_to_save", value="embed_tokens = lm_head", reason=reason))
    elif plan.method == "lora" and plan.saved_modules:
        value = f"{len(plan.saved_modules)} modules"
        reason = f"every module whose name ends in {' or '.join(plan.modules_to_save)}, as PEFT reads it"
        decisions.append(Decision(field="adapter.modules_to_save", value=value, reason=reason))
    return tuple(decisions)


def adapter_parameters(module: ModuleShape, rank: int, use_dora: bool) -> int:
    """What one linear module gets. LoRA: A is rank x in, B is out x rank. DoRA adds one magnitude for each output."""
    out_features, in_features = module.weight
    return rank * (in_features + out_features) + (out_features if use_dora else 0)


def is_target(path: str, name: str) -> bool:
    """Whether a name under adapter.targets means the module: PEFT's rule for target_modules."""
    return path == name or path.endswith(f".{name}")


def _choose(section: AdapterSection, base: BaseModel) -> _Choice:
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
    return _Choice(targets, saved, (*layer_problems, *target_problems, *saved_problems))


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


def _lora_plan(
    section: AdapterSection,
    base: BaseModel,
    choice: _Choice,
    tensors: dict[str, tuple[int, ...]],
    continues: str | None,
) -> AdapterPlan:
    use_rslora, use_dora = section.variant.startswith("rslora"), section.variant.endswith("dora")
    targets = tuple(_target(module, section.rank, use_dora) for module in choice.targets)
    saved = _trained_modules(choice.saved, base.facts.tied_embeddings)
    num_adapter = sum(target.num_trainable for target in targets)
    num_saved = sum(module.num_parameters for module in saved if not module.is_tied)
    layers = None if section.layers == "all" else tuple(sorted(set(section.layers)))
    return AdapterPlan(
        method="lora",
        rank=section.rank,
        alpha=section.alpha,
        scaling=section.alpha / (sqrt(section.rank) if use_rslora else section.rank),
        dropout=section.dropout,
        use_rslora=use_rslora,
        use_dora=use_dora,
        target_names=_target_names(targets, base, layers),
        targets=targets,
        layers=layers,
        modules_to_save=section.modules_to_save,
        saved_modules=saved,
        num_adapter_parameters=num_adapter,
        num_saved_module_parameters=num_saved,
        num_trainable=num_adapter + num_saved,
        num_total=base.facts.num_parameters + num_adapter + num_saved,
        adapter_bytes=safetensors_bytes(tensors),
        continues=continues,
    )


def _target_names(targets: Sequence[LoraTarget], base: BaseModel, layers: tuple[int, ...] | None) -> tuple[str, ...]:
    """What PEFT finds the targets by: last names, or whole paths where these would mean other modules as well."""
    names = tuple(dict.fromkeys(target.path.rpartition(".")[2] for target in targets))
    meant = {
        module.path
        for module in base.modules
        if module.path.rpartition(".")[2] in names and (layers is None or module.layer in layers)
    }
    if base.family.holds_more or meant != {target.path for target in targets}:
        return tuple(target.path for target in targets)
    return names


def _target(module: ModuleShape, rank: int, use_dora: bool) -> LoraTarget:
    out_features, in_features = module.weight
    num_trainable = adapter_parameters(module, rank, use_dora)
    return LoraTarget(path=module.path, in_features=in_features, out_features=out_features, num_trainable=num_trainable)


def _trained_modules(modules: Sequence[ModuleShape], tied_embeddings: bool) -> tuple[TrainedModule, ...]:
    trained = []
    for module in modules:
        group = module.kind if module.kind in ("embedding", "head", "norm") else "other"
        is_tied = tied_embeddings and module.kind == "head"
        trained.append(
            TrainedModule(path=module.path, group=group, num_parameters=module.num_parameters, is_tied=is_tied)
        )
    return tuple(trained)


def _adapter_tensors(section: AdapterSection, choice: _Choice) -> dict[str, tuple[int, ...]]:
    """Names and shapes in adapter_model.safetensors. A tied matrix is written under both of its names, as by PEFT."""
    tensors: dict[str, tuple[int, ...]] = {}
    for target in choice.targets:
        name = f"{PEFT_PREFIX}{target.path}."
        out_features, in_features = target.weight
        tensors[f"{name}lora_A.weight"] = (section.rank, in_features)
        tensors[f"{name}lora_B.weight"] = (out_features, section.rank)
        if section.variant.endswith("dora"):
            tensors[f"{name}lora_magnitude_vector"] = (out_features,)
    return tensors | _whole_tensors(choice.saved, PEFT_PREFIX)


def _whole_tensors(modules: Sequence[ModuleShape], prefix: str) -> dict[str, tuple[int, ...]]:
    tensors: dict[str, tuple[int, ...]] = {}
    for module in modules:
        tensors[f"{prefix}{module.path}.weight"] = module.weight
        if module.bias:
            tensors[f"{prefix}{module.path}.bias"] = (module.bias,)
    return tensors


def _full_plan(section: AdapterSection, base: BaseModel) -> AdapterPlan:
    total = base.facts.num_parameters
    once = [module for module in base.modules if not (base.facts.tied_embeddings and module.kind == "head")]
    return AdapterPlan(
        method="full",
        rank=section.rank,
        alpha=section.alpha,
        scaling=1.0,
        dropout=0.0,
        use_rslora=False,
        use_dora=False,
        target_names=(),
        targets=(),
        layers=None,
        modules_to_save=(),
        saved_modules=(),
        num_adapter_parameters=0,
        num_saved_module_parameters=total,
        num_trainable=total,
        num_total=total,
        adapter_bytes=safetensors_bytes(_whole_tensors(once, "")),
    )
