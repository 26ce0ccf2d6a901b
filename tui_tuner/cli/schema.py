"""`tuner schema`: what a recipe may hold, for editors and for reading."""

from typing import Annotated

import typer

NAME = "schema"


def command(
    markdown: Annotated[bool, typer.Option("--markdown", help="Print docs/recipe.md instead.")] = False,
) -> None:
    """Print the JSON Schema of a recipe, for editors."""
    from tui_tuner.cli.terminal import print_json, print_line
    from tui_tuner.recipe.reference import recipe_reference, recipe_schema

    if markdown:
        print_line(recipe_reference().removesuffix("\n"))
    else:
        print_json(recipe_schema())
