"""Arguments and options that several commands share, declared once."""

import re
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
Vram = Annotated[
    str | None,
    typer.Option("--vram", metavar="SIZE", help='GPU memory that the run may take: "24GiB".', show_default=False),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines, and nothing else.")]
RunsFolder = Annotated[Path, typer.Option("--folder", metavar="FOLDER", help="Folder that holds the runs.")]
DEFAULT_RUNS_FOLDER = Path("runs")
SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(GiB|GB|MiB|MB)?", re.IGNORECASE)
GIB_OF = {"gib": 1.0, "gb": 1e9 / 2**30, "mib": 2**-10, "mb": 1e6 / 2**30}


def with_vram(overrides: list[str] | None, vram: str | None) -> list[str]:
    """The overrides and that of the memory budget. Raises typer.BadParameter for what is no size."""
    if vram is None:
        return overrides or []
    found = SIZE.fullmatch(vram.strip())
    if found is None or not float(found[1]):
        raise typer.BadParameter(f"{vram!r} is no size; write 24GiB, 23.5GB or 8000MiB.", param_hint="--vram")
    return [*(overrides or []), f"acceleration.vram={float(found[1]) * GIB_OF[(found[2] or 'GiB').lower()]:g}"]
