"""Writes the generated pages of docs/ anew: `make docs`."""

from pathlib import Path

from tui_tuner.recipe.reference import recipe_reference
from tui_tuner.screens.key_reference import key_reference

DOCS = Path(__file__).parents[1] / "docs"


def main() -> None:
    (DOCS / "recipe.md").write_text(recipe_reference(), encoding="utf-8")
    (DOCS / "keys.md").write_text(key_reference(), encoding="utf-8")


if __name__ == "__main__":
    main()
