"""`tuner train`: carries out a recipe and shows how it goes."""

from typing import TYPE_CHECKING, Annotated

import typer

from tui_tuner.cli.options import AsJson, Overrides, RecipeFile, Vram, with_vram
from tui_tuner.places import path_of

if TYPE_CHECKING:
    from tui_tuner.recipe import Recipe

NAME = "train"
Detach = Annotated[bool, typer.Option("--detach", help="Train in the background; the terminal may go.")]


def command(
    recipe: RecipeFile,
    overrides: Overrides = None,
    vram: Vram = None,
    detach: Detach = False,
    as_json: AsJson = False,
) -> None:
    """Train what a recipe asks for, and prove the result.

    Ctrl-C once: finish the step, save, end. Twice: end at once.
    """
    from tui_tuner.recipe import read_recipe

    checked = read_recipe(recipe, with_vram(overrides, vram))
    if detach:
        _launch(checked, as_json=as_json)
        return
    from tui_tuner.cli.watching.following import follow

    raise typer.Exit(follow(checked, as_json=as_json))


def _launch(recipe: "Recipe", *, as_json: bool) -> None:
    """What the plan refuses is said here, before anything is started."""

    from tui_tuner.cli.terminal import print_json, print_line
    from tui_tuner.hardware import probe_hardware
    from tui_tuner.hosting.launching import launch
    from tui_tuner.planning.preflight import check_output
    from tui_tuner.planning.run_plan import make_plan

    check_output(make_plan(recipe, probe_hardware()))
    folder = path_of(recipe.output.folder)
    run_id = launch(recipe, folder)
    if as_json:
        print_json({"run_id": run_id, "folder": str(folder / run_id)})
        return
    where = "" if recipe.output.folder == "runs" else f" --folder {folder}"
    print_line(f"{run_id} trains in the background; closing the terminal does not end it.")
    print_line(f"  watch  tuner attach {run_id}{where}")
    print_line(f"  stop   tuner stop {run_id}{where}")
