"""`tuner plan`: what a recipe would do, before anything is loaded."""

from tui_tuner.cli.options import AsJson, Overrides, RecipeFile, Vram, with_vram

NAME = "plan"


def command(recipe: RecipeFile, overrides: Overrides = None, vram: Vram = None, as_json: AsJson = False) -> None:
    """Show what a recipe will do, and why. Loads nothing."""
    from tui_tuner.hardware import probe_hardware
    from tui_tuner.planning.run_plan import make_plan
    from tui_tuner.recipe import read_recipe

    plan = make_plan(read_recipe(recipe, with_vram(overrides, vram)), probe_hardware())
    if as_json:
        from tui_tuner.cli.terminal import print_line

        print_line(plan.model_dump_json(indent=2))
        return
    from tui_tuner.cli.terminal import show
    from tui_tuner.cli.views.plan import plan_view

    show(plan_view(plan))
