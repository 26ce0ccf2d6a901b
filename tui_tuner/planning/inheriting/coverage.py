"""Whether an adapter's file holds what its own config says, on a base model: nothing may be missing or left over.

Patterns in a config are never matched: a regular expression from a file may take for ever. There the file decides.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tui_tuner.errors import AdapterError
from tui_tuner.families import ModuleShape

OTHER_BASE = "It was made for another base model, or its two files do not belong together."


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfiguredTargets:
    """What adapter_config.json says of the modules that carry adapters."""

    names: tuple[str, ...] | None
    """Last names or paths; None where the config has a pattern, or leaves them to PEFT."""
    excluded: tuple[str, ...] | None
    """None where the config has a pattern."""
    layers: tuple[int, ...] | None
    """None for all."""

    def expected(self, linears: Sequence[ModuleShape]) -> list[str] | None:
        """Paths that PEFT would put an adapter on; None where only a pattern tells."""
        if self.names is None or self.excluded is None:
            return None
        return [
            module.path
            for module in linears
            if (self.names == ("all-linear",) or _is_named(module.path, self.names))
            and not _is_named(module.path, self.excluded)
            and (self.layers is None or module.layer in self.layers)
        ]


def configured_targets(config: Mapping[str, object]) -> ConfiguredTargets:
    """Read the fields that choose modules."""
    names, excluded = config.get("target_modules"), config.get("exclude_modules")
    is_list = isinstance(names, list) and bool(names)
    layers = config.get("layers_to_transform")
    if isinstance(layers, int):
        layers = [layers]
    return ConfiguredTargets(
        names=_texts(names) if is_list else ("all-linear",) if names == "all-linear" else None,
        excluded=() if not excluded else _texts(excluded) if isinstance(excluded, list) else None,
        layers=tuple(one for one in layers if isinstance(one, int)) if isinstance(layers, list) and layers else None,
    )


def check_coverage(
    folder: object,
    configured: ConfiguredTargets,
    paths: Sequence[str],
    modules: Sequence[ModuleShape],
    *,
    layers_are_confirmed: bool,
) -> None:
    """Compare the modules that the file adapts with the base model's modules.

    Args:
        layers_are_confirmed: whether somebody said that only some layers carry adapters.

    Raises:
        AdapterError: naming the first module that is missing in the file or unknown to the model.
    """
    by_path = {module.path: module for module in modules}
    _check_known(folder, paths, by_path)
    linears = [module for module in modules if module.kind == "linear"]
    expected = configured.expected(linears)
    if expected is not None:
        missing = [path for path in expected if path not in set(paths)]
        if missing:
            raise AdapterError(
                f"{folder} lacks adapters for {len(missing)} of the {len(expected)} modules that its config names on "
                f"this model, first {missing[0]}.",
                OTHER_BASE,
            )
    elif not layers_are_confirmed:
        _check_depth(folder, [by_path[path].layer for path in paths], linears)


def _check_known(folder: object, paths: Sequence[str], by_path: Mapping[str, ModuleShape]) -> None:
    layers = [module.layer for module in by_path.values() if module.layer is not None]
    for path in paths:
        module = by_path.get(path)
        if module is None:
            number = next((int(part) for part in path.split(".") if part.isdigit()), None)
            beyond = number is not None and layers and number > max(layers)
            reason = f": the model has layers 0 to {max(layers)}" if beyond else ""
            raise AdapterError(
                f"{folder} has an adapter for {path}, which the model does not have{reason}.", OTHER_BASE
            )
        if module.kind != "linear":
            raise AdapterError(
                f"{folder} trains {path} with LoRA, which tuner does only for linear modules of layers.",
                "Merge it into its base, or start a new adapter with adapter.modules_to_save.",
            )


def _check_depth(folder: object, layers: Sequence[int | None], linears: Sequence[ModuleShape]) -> None:
    """Adapters on layers 0 to n of a deeper model look exactly like adapters of a shallower one."""
    found = sorted({layer for layer in layers if layer is not None})
    deepest = max((module.layer for module in linears if module.layer is not None), default=0)
    if found and found == list(range(len(found))) and found[-1] < deepest:
        raise AdapterError(
            f"{folder} has adapters for layers 0 to {found[-1]}, the model has layers 0 to {deepest}.",
            f"It was made for a smaller base model; if it was not, confirm it with adapter.layers = {found}.",
        )


def _is_named(path: str, names: Sequence[str]) -> bool:
    """PEFT's rule for names in a list."""
    return any(path == name or path.endswith(f".{name}") for name in names)


def _texts(values: object) -> tuple[str, ...]:
    return tuple(str(one) for one in values) if isinstance(values, list) else ()
