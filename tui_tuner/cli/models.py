"""`tuner models`: what the Hugging Face cache holds."""

from tui_tuner.cli.options import AsJson

NAME = "models"


def command(as_json: AsJson = False) -> None:
    """List the models in the Hugging Face cache."""
    import dataclasses

    from tui_tuner.cli.terminal import print_json, show
    from tui_tuner.planning.hub_cache import cached_models, hub_cache_folder

    models = cached_models()
    if as_json:
        print_json([{**dataclasses.asdict(model), "folder": str(model.folder)} for model in models])
        return
    from tui_tuner.cli.views.model_list import model_list_view

    show(model_list_view(models, hub_cache_folder()))
