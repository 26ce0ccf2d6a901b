"""`tuner models`: what the Hugging Face cache holds, and whether a model's files are what was downloaded."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from tui_tuner.cli.options import AsJson

if TYPE_CHECKING:
    from rich.progress import Progress

NAME = "models"
Verify = Annotated[
    str | None,
    typer.Option(
        "--verify", metavar="MODEL", help="Read every weight file of a model in full, and show its sha256.",
        show_default=False,
    ),
]  # fmt: skip


def command(verify: Verify = None, as_json: AsJson = False) -> None:
    """List the models in the Hugging Face cache, or read one in full."""
    import dataclasses

    from tui_tuner.cli.terminal import print_json, show
    from tui_tuner.planning.hub.cache import cached_models, hub_cache_folder

    if verify is not None:
        hashes = _hashes(verify)
        if as_json:
            print_json(hashes)
            return
        from tui_tuner.cli.terminal import print_line

        for name, digest in hashes.items():
            print_line(f"{digest}  {name}")
        return
    models = cached_models()
    if as_json:
        print_json([{**dataclasses.asdict(model), "folder": str(model.folder)} for model in models])
        return
    from tui_tuner.cli.views.model_list import model_list_view

    show(model_list_view(models, hub_cache_folder()))


def _hashes(source: str) -> dict[str, str]:
    """sha256 of each weight file; runs and adapters compare them from then on."""
    from tui_tuner.errors import ModelError
    from tui_tuner.planning.model_source import locate_model
    from tui_tuner.planning.weight_hashes import hash_in_full
    from tui_tuner.planning.weights import read_weights
    from tui_tuner.recipe import ModelSection

    folder = locate_model(ModelSection(source=source, name_mapping="off")).folder
    files = read_weights(folder).files
    if not files:
        raise ModelError(f"{source} has no weights on this machine.", f"Fetch them with `hf download {source}`.")
    with _progress() as bar:
        task = bar.add_task("reading")
        return hash_in_full(folder, files, lambda done, total: bar.update(task, completed=done, total=total))


def _progress() -> "Progress":
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

    columns = (BarColumn(), DownloadColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())
