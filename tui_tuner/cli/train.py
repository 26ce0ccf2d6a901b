"""`tuner train`: carries out a recipe and shows how it goes."""

import typer

from tui_tuner.cli.options import AsJson, Overrides, RecipeFile

NAME = "train"


def command(recipe: RecipeFile, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Train what a recipe asks for, and prove the result.

    Ctrl-C once: finish the step, save, end. Twice: end at once.
    """
    from tui_tuner.cli.following import follow
    from tui_tuner.recipe import read_recipe

    raise typer.Exit(follow(read_recipe(recipe, overrides or ()), as_json=as_json))
