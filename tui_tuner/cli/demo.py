"""`tuner demo`: the whole story on the built-in starter model, in about a minute and without network."""

from pathlib import Path
from typing import Annotated

import typer

from tui_tuner.cli.options import DEFAULT_RUNS_FOLDER, AsJson

NAME = "demo"


def command(
    folder: Annotated[
        Path, typer.Option("--folder", metavar="FOLDER", help="Folder that gets the run.")
    ] = DEFAULT_RUNS_FOLDER,
    as_json: AsJson = False,
) -> None:
    """Fine-tune the built-in starter model in a minute.

    It needs two CPU cores and no network.
    """
    from tui_tuner.cli.watching.following import follow
    from tui_tuner.starter import starter_recipe

    raise typer.Exit(follow(starter_recipe(str(folder)), as_json=as_json))
