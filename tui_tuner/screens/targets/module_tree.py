"""The modules of a model as a tree, the same module of all layers on one line, each with what is chosen of it."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from tui_tuner.families import ModuleShape
from tui_tuner.plan import AdapterPlan
from tui_tuner.planning.adapters.plan import adapter_parameters
from tui_tuner.planning.model_facts import BaseModel

RowKind = Literal["layers", "group", "linear", "whole"]
State = Literal["on", "off", "partly", "in full"]
NORMS = "norms"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """One module of a layer in all layers, or one module outside them."""

    name: str
    """What a recipe calls it, so that it means these modules and no others: "q_proj", "model.norm"."""
    label: str
    group: str
    """Its parent inside the layer, such as "self_attn"; `NORMS` for norms; empty outside the layers."""
    modules: tuple[ModuleShape, ...]

    @property
    def is_linear(self) -> bool:
        return self.modules[0].kind == "linear"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the tree."""

    kind: RowKind
    label: str
    depth: int
    patterns: tuple[Pattern, ...]
    """What toggling the row toggles."""
    state: State
    num_trained: int
    num_more: int
    """Parameters that choosing all of it would add."""
    shape: str = ""
    group: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Paths of the modules that train, and how large an adapter is."""

    adapted: frozenset[str]
    whole: frozenset[str]
    rank: int
    use_dora: bool
    layers: frozenset[int] | None
    """Layers that adapters are for; None for all."""
    tied: bool
    is_full: bool = False

    @classmethod
    def of(cls, adapter: AdapterPlan, tied: bool) -> "Chosen":
        return cls(
            adapted=frozenset(target.path for target in adapter.targets),
            whole=frozenset(module.path for module in adapter.saved_modules),
            rank=adapter.rank,
            use_dora=adapter.use_dora,
            layers=None if adapter.layers is None else frozenset(adapter.layers),
            tied=tied,
            is_full=adapter.method == "full",
        )


def patterns(base: BaseModel) -> tuple[Pattern, ...]:
    """Every pattern, linear modules and norms of the layers first, in module order."""
    grouped: dict[str, list[ModuleShape]] = {}
    for module in base.modules:
        if module.kind != "other":
            grouped.setdefault(_inner_path(module), []).append(module)
    found = [_pattern(inner, tuple(modules), base) for inner, modules in grouped.items()]
    return (*(one for one in found if one.group), *(one for one in found if not one.group))


def tree_rows(base: BaseModel, chosen: Chosen, folded: Collection[str]) -> tuple[Row, ...]:
    """The lines, without those of folded groups."""
    found = patterns(base)
    linear = tuple(one for one in found if one.is_linear)
    rows: list[Row] = []
    if linear:
        last = max(module.layer or 0 for one in linear for module in one.modules)
        label = f"{base.family.layers_path or 'layers'}.0-{last}"
        rows.append(_row("layers", label, 0, linear, chosen, note=f"{last + 1} layers"))
        for group in dict.fromkeys(one.group for one in linear):
            rows += _group(group, tuple(one for one in linear if one.group == group), chosen, folded)
    norms = tuple(one for one in found if one.group == NORMS)
    if norms:
        rows += _group(NORMS, norms, chosen, folded)
    rows += [_row("whole", one.label, 0, (one,), chosen) for one in found if not one.group]
    return tuple(rows)


def _group(name: str, members: tuple[Pattern, ...], chosen: Chosen, folded: Collection[str]) -> Iterator[Row]:
    yield _row("group", name, 1, members, chosen, group=name)
    if name not in folded:
        kind: RowKind = "whole" if name == NORMS else "linear"
        for one in members:
            yield _row(kind, one.label, 2, (one,), chosen)


def _row(kind: RowKind, label: str, depth: int, members: tuple[Pattern, ...], chosen: Chosen, **more: str) -> Row:
    modules = [module for one in members for module in one.modules]
    trained = [module for module in modules if _is_trained(module, chosen)]
    is_one = kind in ("linear", "whole")
    return Row(
        kind=kind,
        label=label,
        depth=depth,
        patterns=members,
        state=_state(modules, trained, chosen),
        num_trained=sum(_num_trained(module, chosen) for module in trained),
        num_more=sum(_num_more(module, chosen) for module in modules if not _is_trained(module, chosen)),
        shape=_shape(modules[0], chosen.tied) if is_one else "",
        **more,
    )


def _is_trained(module: ModuleShape, chosen: Chosen) -> bool:
    return chosen.is_full or module.path in chosen.adapted or module.path in chosen.whole


def _state(modules: Sequence[ModuleShape], trained: Sequence[ModuleShape], chosen: Chosen) -> State:
    in_layers = [module for module in modules if _is_in_layers(module, chosen)]
    if not trained:
        return "off"
    if trained[0].kind == "linear" and (chosen.is_full or trained[0].path in chosen.whole):
        return "in full"
    return "on" if len(trained) >= len(in_layers) else "partly"


def _is_in_layers(module: ModuleShape, chosen: Chosen) -> bool:
    return module.kind != "linear" or chosen.layers is None or module.layer in chosen.layers


def _num_trained(module: ModuleShape, chosen: Chosen) -> int:
    if module.path in chosen.adapted:
        return adapter_parameters(module, chosen.rank, chosen.use_dora)
    return 0 if module.kind == "head" and chosen.tied else module.num_parameters


def _num_more(module: ModuleShape, chosen: Chosen) -> int:
    if module.kind == "linear":
        is_in = _is_in_layers(module, chosen)
        return adapter_parameters(module, chosen.rank, chosen.use_dora) if is_in else 0
    return module.num_parameters


def _inner_path(module: ModuleShape) -> str:
    """The path with the layer's number left out."""
    return module.path if module.layer is None else module.path.replace(f".{module.layer}.", ".*.", 1)


def _pattern(inner: str, modules: tuple[ModuleShape, ...], base: BaseModel) -> Pattern:
    own = inner.rpartition(".*.")[2]
    parent, _, leaf = own.rpartition(".")
    if modules[0].layer is None:
        return Pattern(name=_save_name(modules, base), label=leaf or own, group="", modules=modules)
    if modules[0].kind != "linear":
        return Pattern(name=_save_name(modules, base), label=leaf, group=NORMS, modules=modules)
    name = _target_name(own, modules, base)
    return Pattern(name=name, label=leaf, group=parent or "layer", modules=modules)


def _target_name(own: str, modules: tuple[ModuleShape, ...], base: BaseModel) -> str:
    """The shortest end of its path that means no other linear module."""
    others = {module.path for module in base.modules if module.kind == "linear"} - {one.path for one in modules}
    parts = own.split(".")
    for length in range(1, len(parts) + 1):
        name = ".".join(parts[-length:])
        if not any(path == name or path.endswith(f".{name}") for path in others):
            return name
    return own


def _save_name(modules: tuple[ModuleShape, ...], base: BaseModel) -> str:
    """The shortest end of the path that no other module's path ends in, not even as a part of a word."""
    others = {module.path for module in base.modules} - {one.path for one in modules}
    parts = modules[0].path.split(".")
    for length in range(1, len(parts) + 1):
        name = ".".join(parts[-length:])
        if all(one.path.endswith(name) for one in modules) and not any(path.endswith(name) for path in others):
            return name
    return modules[0].path


def _shape(module: ModuleShape, tied: bool) -> str:
    if module.kind == "head" and tied:
        return "= embedding"
    if module.kind == "linear":
        return f"{module.weight[1]}>{module.weight[0]}"
    return "×".join(str(size) for size in module.weight)
