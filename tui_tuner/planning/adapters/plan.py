"""Exactly what will be trained, and how PEFT would count it, without loading anything."""

from collections.abc import Sequence
from math import sqrt

from tui_tuner.errors import ModelError, RecipeError
from tui_tuner.families import ModuleShape
from tui_tuner.plan import AdapterPlan, Decision, LoraTarget, TrainedModule
from tui_tuner.planning.adapters.choosing import choose
from tui_tuner.planning.adapters.size import safetensors_bytes
from tui_tuner.planning.inheriting.adapter import InheritedAdapter
from tui_tuner.planning.inheriting.strengths import Strength
from tui_tuner.planning.inheriting.tensor_names import PEFT_PREFIX
from tui_tuner.planning.model_facts import BaseModel
from tui_tuner.recipe import AdapterSection


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
    choice = choose(section, base)
    if choice.problems:
        raise RecipeError(choice.problems)
    strengths = inherited.strengths if inherited is not None else {}
    targets = tuple(_target(module, section, strengths.get(module.path)) for module in choice.targets)
    tensors = _adapter_tensors(section, targets) | _whole_tensors(choice.saved, PEFT_PREFIX)
    if inherited is not None:
        inherited.check_tensors(tensors)
    plan = _lora_plan(section, base, targets, choice.saved, tensors)
    return plan.model_copy(update={"continues": str(inherited.folder)}) if inherited is not None else plan


def adapter_decisions(
    plan: AdapterPlan, section: AdapterSection, inherited: InheritedAdapter | None = None
) -> tuple[Decision, ...]:
    """What of the plan a person should know the reason of."""
    decisions = []
    if plan.continues is not None:
        reason = f"rank, alpha, variant, targets and whole modules are those of {plan.continues}"
        decisions.append(Decision(field="adapter", value="continued", reason=reason))
        if any(target.rank is not None or target.alpha is not None for target in plan.targets):
            reason = "the adapter has others for some modules, and each keeps its own"
            ranks = sorted({plan.rank_of(target) for target in plan.targets})
            decisions.append(Decision(field="adapter.rank", value=", ".join(map(str, ranks)), reason=reason))
        is_new = "dropout" in section.model_fields_set
        reason = "as the recipe says, whatever the adapter had" if is_new else "as in the adapter"
        decisions.append(Decision(field="adapter.dropout", value=f"{plan.dropout:g}", reason=reason))
    if inherited is not None and inherited.origin is None and inherited.base_name:
        reason = "what the adapter names as its base; whether model.source is that one, the losses tell before step 1"
        decisions.append(Decision(field="model.adapter", value=inherited.base_name, reason=reason))
    if inherited is not None and inherited.unknown_settings:
        reason = "its adapter_config.json sets what tuner does not know and leaves aside"
        value = ", ".join(inherited.unknown_settings)
        decisions.append(Decision(field="model.adapter", value=value, reason=reason))
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


def _lora_plan(
    section: AdapterSection,
    base: BaseModel,
    targets: tuple[LoraTarget, ...],
    saved_modules: Sequence[ModuleShape],
    tensors: dict[str, tuple[int, ...]],
) -> AdapterPlan:
    use_rslora = section.variant.startswith("rslora")
    saved = _trained_modules(saved_modules, base.facts.tied_embeddings)
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
        use_dora=section.variant.endswith("dora"),
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


def _target(module: ModuleShape, section: AdapterSection, own: Strength | None) -> LoraTarget:
    """
    Args:
        own: rank and alpha that an inherited adapter has here.
    """
    out_features, in_features = module.weight
    rank = section.rank if own is None else own.rank
    return LoraTarget(
        path=module.path,
        in_features=in_features,
        out_features=out_features,
        num_trainable=adapter_parameters(module, rank, section.variant.endswith("dora")),
        rank=rank if rank != section.rank else None,
        alpha=own.alpha if own is not None and own.alpha != section.alpha else None,
    )


def _trained_modules(modules: Sequence[ModuleShape], tied_embeddings: bool) -> tuple[TrainedModule, ...]:
    trained = []
    for module in modules:
        group = module.kind if module.kind in ("embedding", "head", "norm") else "other"
        is_tied = tied_embeddings and module.kind == "head"
        trained.append(
            TrainedModule(path=module.path, group=group, num_parameters=module.num_parameters, is_tied=is_tied)
        )
    return tuple(trained)


def _adapter_tensors(section: AdapterSection, targets: Sequence[LoraTarget]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the low-rank parts in adapter_model.safetensors."""
    tensors: dict[str, tuple[int, ...]] = {}
    for target in targets:
        name, rank = f"{PEFT_PREFIX}{target.path}.", target.rank or section.rank
        tensors[f"{name}lora_A.weight"] = (rank, target.in_features)
        tensors[f"{name}lora_B.weight"] = (target.out_features, rank)
        if section.variant.endswith("dora"):
            tensors[f"{name}lora_magnitude_vector"] = (target.out_features,)
    return tensors


def _whole_tensors(modules: Sequence[ModuleShape], prefix: str) -> dict[str, tuple[int, ...]]:
    """Those of whole modules. A tied matrix is written under both of its names, as by PEFT."""
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
