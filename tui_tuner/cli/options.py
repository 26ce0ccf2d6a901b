"""Arguments and options that several commands share, declared once."""

from pathlib import Path
from typing import Annotated

import typer

RecipeFile = Annotated[Path, typer.Argument(metavar="RECIPE", help="The recipe, a TOML file.", show_default=False)]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="FIELD=VALUE", help='Set a field of the recipe: "adapter.rank=32". May be repeated.',
        show_default=False,
    ),
]  # fmt: skip
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines, and nothing else.")]
RunsFolder = Annotated[Path, typer.Option("--folder", metavar="FOLDER", help="Folder that holds the runs.")]
DEFAULT_RUNS_FOLDER = Path("runs")
