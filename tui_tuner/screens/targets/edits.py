"""What a key press makes of the draft's targets. Drafts in, drafts out; nothing is drawn or counted."""

import re
from collections.abc import Collection, Iterable, Sequence

from tui_tuner.planning.adapters.choosing import is_target
from tui_tuner.planning.model_facts import BaseModel
from tui_tuner.screens.draft import Draft
from tui_tuner.screens.targets.module_tree import Chosen, Pattern, Row, patterns

RANKS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
VARIANTS = ("lora", "rslora", "dora", "rslora+dora")
DROPOUTS = (0.0, 0.05, 0.1, 0.2)
RATIOS = (1.0, 4.0, 16.0)
ATTENTION = re.compile(r"attn|attention", re.IGNORECASE)


def toggled(draft: Draft, base: BaseModel, row: Row) -> Draft:
    """All of a row chosen, or none of it where all of it was."""
    is_on = row.state not in ("on", "in full")
    linear = tuple(one for one in row.patterns if one.is_linear)
    if linear:
        draft = _with_linear(draft, base, linear, is_on)
    whole = tuple(one for one in row.patterns if not one.is_linear)
    return _with_whole(draft, base, whole, is_on) if whole else draft


def all_linear(draft: Draft) -> Draft:
    return draft.with_value("auto", "adapter", "targets")


def attention_only(draft: Draft, base: BaseModel) -> Draft:
    """Every linear module of the attention, by the name of its parent; the draft as it was where there is none."""
    names = [one.name for one in patterns(base) if one.is_linear and ATTENTION.search(one.group)]
    return _with_targets(draft, base, names) if names else draft


def stepped(value: float, steps: Sequence[float], direction: int) -> float:
    """The next larger or smaller of some steps; the value itself where there is none."""
    larger, smaller = [one for one in steps if one > value], [one for one in steps if one < value]
    if direction > 0:
        return larger[0] if larger else value
    return smaller[-1] if smaller else value


def following(value: object, choices: Sequence[object]) -> object:
    """The choice after a value, and the first one after the last or after a value of one's own."""
    place = choices.index(value) if value in choices else -1
    return choices[(place + 1) % len(choices)]


def with_pattern(draft: Draft, base: BaseModel, expression: str) -> Draft:
    """The linear modules whose whole path the expression finds; "!" before it takes the others.

    Where it finds the same layers of each module, they become adapter.layers; else the paths are listed.

    Raises:
        ValueError: it is no regular expression, or finds nothing.
    """
    try:
        finder = re.compile(expression.removeprefix("!"))
    except re.error as error:
        raise ValueError(f"no regular expression: {error}") from error
    wants = not expression.startswith("!")
    found = {
        one.name: [module for module in one.modules if bool(finder.search(module.path)) == wants]
        for one in patterns(base)
        if one.is_linear
    }
    found = {name: modules for name, modules in found.items() if modules}
    if not found:
        raise ValueError("no linear module has such a path")
    layers = {tuple(sorted({module.layer or 0 for module in modules})) for modules in found.values()}
    if len(layers) == 1:
        return with_layers(_with_targets(draft, base, list(found)), base, next(iter(layers)))
    paths = [name for one in patterns(base) for name in _names(one, found.get(one.name, []))]
    return _with_targets(draft.without("adapter", "layers"), base, paths)


def _names(pattern: Pattern, modules: Collection[object]) -> Iterable[str]:
    if not modules or len(modules) == len(pattern.modules):
        return [pattern.name] if modules else []
    return [module.path for module in pattern.modules if module in modules]


def with_layers(draft: Draft, base: BaseModel, layers: Sequence[int]) -> Draft:
    is_all = set(layers) == set(range(base.facts.num_layers))
    return draft.with_value("all" if is_all else list(layers), "adapter", "layers")


def with_typed_layers(draft: Draft, base: BaseModel, text: str) -> Draft:
    """Raises ValueError as `parse_layers` does."""
    return with_layers(draft, base, parse_layers(text, base.facts.num_layers))


def parse_layers(text: str, num_layers: int) -> tuple[int, ...]:
    """ "all", "0-17, 20", "last 8" or "every 2" as layer numbers.

    Raises:
        ValueError: it is none of these, or names a layer that the model does not have.
    """
    words = text.strip().lower()
    if words in ("", "all"):
        return tuple(range(num_layers))
    if match := re.fullmatch(r"(last|first|every)\s+(\d+)", words):
        return _counted(match[1], int(match[2]), num_layers)
    found: set[int] = set()
    for part in words.split(","):
        match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part)
        if match is None:
            raise ValueError(f'"{part.strip()}" is no layer; write 0-{num_layers - 1}, "last 8" or "all"')
        first, last = int(match[1]), int(match[2] or match[1])
        if last >= num_layers or first > last:
            raise ValueError(f"the model has layers 0 to {num_layers - 1}")
        found |= set(range(first, last + 1))
    return tuple(sorted(found))


def layer_words(layers: Sequence[int]) -> str:
    """ "0-17, 20" for layer numbers."""
    runs: list[list[int]] = []
    for layer in sorted(set(layers)):
        if runs and layer == runs[-1][1] + 1:
            runs[-1][1] = layer
        else:
            runs.append([layer, layer])
    return ", ".join(f"{first}" if first == last else f"{first}-{last}" for first, last in runs)


def _counted(word: str, number: int, num_layers: int) -> tuple[int, ...]:
    if not 0 < number <= num_layers:
        raise ValueError(f"the model has {num_layers} layers")
    if word == "every":
        return tuple(range(0, num_layers, number))
    return tuple(range(num_layers - number, num_layers) if word == "last" else range(number))


def named_linears(draft: Draft, base: BaseModel) -> frozenset[str]:
    """Paths of the linear modules that the draft names, whatever its layers are."""
    names = draft.get("adapter", "targets")
    linears = [module.path for module in base.modules if module.kind == "linear"]
    if not isinstance(names, list | tuple):
        return frozenset(linears)
    return frozenset(path for path in linears if any(is_target(path, str(name)) for name in names))


def asked(draft: Draft, base: BaseModel) -> Chosen:
    """What the draft asks for, where it has no plan: nothing of it is checked."""
    layers = draft.get("adapter", "layers")
    within = frozenset(layers) if isinstance(layers, list | tuple) else None
    saved = [str(name) for name in draft.get("adapter", "modules_to_save") or ()]
    linears = named_linears(draft, base)
    whole = {one.path for one in base.modules if any(name and one.path.endswith(name) for name in saved)}
    ends = {one.path for one in base.modules if one.kind in ("embedding", "head")}
    if base.facts.tied_embeddings and whole & ends:
        whole |= ends
    return Chosen(
        adapted=frozenset(
            one.path for one in base.modules if one.path in linears and (within is None or one.layer in within)
        ),
        whole=frozenset(whole),
        rank=int(draft.get("adapter", "rank")),
        use_dora=str(draft.get("adapter", "variant")).endswith("dora"),
        layers=within,
        tied=base.facts.tied_embeddings,
        is_full=draft.get("adapter", "method") == "full",
    )


def _with_linear(draft: Draft, base: BaseModel, turned: tuple[Pattern, ...], is_on: bool) -> Draft:
    named = named_linears(draft, base)
    names: list[str] = []
    for one in patterns(base):
        if not one.is_linear:
            continue
        if one in turned:
            names += [one.name] if is_on else []
        else:
            names += _names(one, [module for module in one.modules if module.path in named])
    return _with_targets(draft, base, names)


def _with_targets(draft: Draft, base: BaseModel, names: Sequence[str]) -> Draft:
    every = {one.name for one in patterns(base) if one.is_linear}
    return draft.with_value("auto" if set(names) == every else list(names), "adapter", "targets")


def _with_whole(draft: Draft, base: BaseModel, turned: tuple[Pattern, ...], is_on: bool) -> Draft:
    asked = [str(name) for name in draft.get("adapter", "modules_to_save") or ()]
    listed = [one for one in patterns(base) if not one.is_linear]
    paths = {module.path for one in listed for module in one.modules}
    turned_kinds = {module.kind for one in turned for module in one.modules}
    is_pair = base.facts.tied_embeddings and turned_kinds & {"embedding", "head"}
    # Names that mean linear modules are no rows of this tree, and stay as they are.
    names = [name for name in asked if not any(path.endswith(name) for path in paths)]
    for one in listed:
        is_turned = one in turned or (is_pair and one.modules[0].kind in ("embedding", "head"))
        was_on = any(module.path.endswith(name) for module in one.modules for name in asked)
        # Of a tied pair one name is enough: both are trained as one.
        is_named = one in turned if is_turned and is_on else was_on and not is_turned
        names += [one.name] if is_named or (is_turned and is_on and was_on) else []
    return draft.with_value(names, "adapter", "modules_to_save")
