"""The list of models in the cache."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Group, RenderableType
from rich.text import Text

from tui_tuner import units
from tui_tuner.cli.views.blocks import columns, mark, outside
from tui_tuner.planning.hub.cache import CachedModel


def model_list_view(models: Sequence[CachedModel], folder: Path) -> RenderableType:
    if not models:
        return outside(f"No models in {folder}. `hf download NAME` fetches one; so does a recipe that names it.")
    table = columns("model", "size", "type", "weights", "revision", right=(1,))
    for model in models:
        whole = Text.assemble(mark("good"), f" {model.quantization or 'plain'}")
        table.add_row(
            outside(model.repo_id, "strong"),
            units.file_size(model.bytes),
            outside(model.dtype or "–"),
            whole if model.complete else Text.assemble(mark("warn"), " files missing"),
            outside(", ".join((*model.names, model.revision[:8])), "quiet"),
        )
    return Group(table, "", outside(f"in {folder}", "quiet"))
