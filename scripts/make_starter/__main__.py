"""Makes everything in tui_tuner/starter anew: `python -m scripts.make_starter`, some quarter of an hour on one core."""

import argparse
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from scripts.make_starter.folder import read_pretrained, write_manifest, write_model, write_rows, write_tokenizer
from scripts.make_starter.pretraining import Pretraining, make_model, make_sums_repeatable, pretrain
from scripts.make_starter.text_parts import TextParts, make_text_parts

STARTER_FOLDER = Path(__file__).resolve().parents[2] / "tui_tuner" / "starter"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m scripts.make_starter", description=__doc__)
    parser.add_argument("--folder", type=Path, default=STARTER_FOLDER, help="where the files are written")
    parser.add_argument("--steps", type=int, default=Pretraining().steps, help="pretraining steps")
    parser.add_argument("--text-only", action="store_true", help="make everything but the model, which stays")
    arguments = parser.parse_args()
    (arguments.folder / "model").mkdir(parents=True, exist_ok=True)
    parts = make_text_parts()
    write_rows(arguments.folder, parts.instructions)
    write_tokenizer(arguments.folder, parts.tokenizer)
    if arguments.text_only:
        pretrained = read_pretrained(arguments.folder)
    else:
        pretrained = _pretrain(arguments.folder, parts, Pretraining(steps=arguments.steps))
    write_manifest(arguments.folder, parts.documents, pretrained)


def _pretrain(folder: Path, parts: TextParts, settings: Pretraining) -> Mapping[str, object]:
    """Write the model, and tell how it was made."""
    make_sums_repeatable()
    model = make_model(parts.tokenizer, settings.seed)
    loss = pretrain(model, parts.tokenizer, parts.documents, settings, print)
    write_model(folder, model)
    return {
        "command": f"python -m scripts.make_starter --steps {settings.steps}",
        "parameters": model.num_parameters(),
        "last_loss": round(loss, 4),
        **asdict(settings),
    }


if __name__ == "__main__":
    main()
