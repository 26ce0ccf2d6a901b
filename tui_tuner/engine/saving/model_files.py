"""A model folder in Hugging Face's layout, for weights that were all trained."""

import json
from pathlib import Path

from tui_tuner.engine.model import TrainingModel


def save_model(folder: Path, model: TrainingModel) -> None:
    """Write config and weights, in the type that the model computes in, into an existing folder."""
    state = {name: value.to(model.compute_dtype) for name, value in model.module.state_dict().items()}
    model.module.save_pretrained(str(folder), state_dict=state)  # type: ignore[operator]
    # The config names the type of the master weights that it was saved from; loaders that trust it would widen them.
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["dtype"] = str(model.compute_dtype).removeprefix("torch.")
    path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
