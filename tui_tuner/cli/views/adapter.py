"""What is trained, counted: one line for each kind of module."""

from dataclasses import dataclass

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from tui_tuner import units
from tui_tuner.cli.views.blocks import bar, block, columns, joined, outside
from tui_tuner.plan import AdapterPlan

BAR_WIDTH = 16


def adapter_block(adapter: AdapterPlan, num_layers: int) -> RenderableType:
    share = f"{adapter.trainable_percent:.4f} %"
    headline = joined(
        Text.assemble((units.count(adapter.num_trainable), "strong"), f" of {units.count(adapter.num_total)} trained"),
        share,
    )
    return block("Adapter", headline, _settings(adapter, num_layers), "", _counts(adapter))


def _settings(adapter: AdapterPlan, num_layers: int) -> Text:
    if adapter.method == "full":
        return joined("every weight", f"{units.file_size(adapter.adapter_bytes)} on disk")
    variant = "rsLoRA" if adapter.use_rslora else "LoRA"
    return joined(
        f"{variant} with DoRA" if adapter.use_dora else variant,
        _ranks(adapter),
        _alphas(adapter),
        f"dropout {adapter.dropout:g}" if adapter.dropout else "",
        f"{units.file_size(adapter.adapter_bytes)} on disk",
        f"{len(adapter.layers)} of {num_layers} layers" if adapter.layers is not None else "",
        outside(f"continues {adapter.continues}") if adapter.continues else None,
    )


def _ranks(adapter: AdapterPlan) -> str:
    """An adapter of somebody else's may have several."""
    ranks = {adapter.rank_of(target) for target in adapter.targets} or {adapter.rank}
    return f"rank {min(ranks)}" if len(ranks) == 1 else f"ranks {min(ranks)} to {max(ranks)}"


def _alphas(adapter: AdapterPlan) -> str:
    scales = {adapter.scaling_of(target) for target in adapter.targets} or {adapter.scaling}
    if len(scales) == 1:
        return f"alpha {adapter.alpha:g} (scale {min(scales):.3g})"
    return f"scales {min(scales):.3g} to {max(scales):.3g}"


@dataclass(frozen=True, slots=True)
class _Kind:
    """All modules of one name and shape."""

    name: str
    shape: str
    count: int
    trained: int


def _counts(adapter: AdapterPlan) -> Table:
    table = columns("module", "shape", "how many", "trained", "share", "", right=(2, 3, 4))
    kinds = _kinds(adapter)
    for kind in kinds:
        share = kind.trained / adapter.num_trainable if adapter.num_trainable else 0.0
        table.add_row(
            outside(kind.name),
            kind.shape,
            str(kind.count),
            units.count(kind.trained),
            units.percent(share),
            bar(share, BAR_WIDTH),
        )
    if len(kinds) > 1:
        table.add_row(
            Text("all", style="strong"), "", str(sum(kind.count for kind in kinds)), units.count(adapter.num_trainable)
        )
    return table


def _kinds(adapter: AdapterPlan) -> list[_Kind]:
    trained: dict[tuple[str, str], list[int]] = {}
    for target in adapter.targets:
        key = (
            target.path.rsplit(".", 1)[-1],
            f"{units.count(target.in_features)} → {units.count(target.out_features)}",
        )
        trained.setdefault(key, []).append(target.num_trainable)
    for module in adapter.saved_modules:
        key = (module.path.rsplit(".", 1)[-1], "tied to the other" if module.is_tied else "in full")
        trained.setdefault(key, []).append(0 if module.is_tied else module.num_parameters)
    return [_Kind(name, shape, len(numbers), sum(numbers)) for (name, shape), numbers in trained.items()]
