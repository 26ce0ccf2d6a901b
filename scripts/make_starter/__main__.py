"""Makes everything in tui_tuner/starter anew: `python -m scripts.make_starter`, a quarter of an hour on two cores."""

import argparse
import time
from pathlib import Path

from scripts.make_starter.folder import write_manifest, write_model, write_rows, write_tokenizer
from scripts.make_starter.pretraining import Pretraining, make_model, pretrain
from scripts.make_starter.text_parts import make_text_parts

STARTER_FOLDER = Path(__file__).resolve().parents[2] / "tui_tuner" / "starter"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m scripts.make_starter", description=__doc__)
    parser.add_argument("--folder", type=Path, default=STARTER_FOLDER, help="where the files are written")
    parser.add_argument("--steps", type=int, default=Pretraining().steps, help="pretraining steps")
    parser.add_argument("--text-only", action="store_true", help="leave the model as it is")
    arguments = parser.parse_args()
    make_starter(arguments.folder, arguments.steps, text_only=arguments.text_only)


def make_starter(folder: Path, steps: int, *, text_only: bool) -> None:
    (folder / "model").mkdir(parents=True, exist_ok=True)
    parts = make_text_parts()
    write_rows(folder, parts.instructions)
    write_tokenizer(folder, parts.tokenizer)
    if text_only:
        return
    settings = Pretraining(steps=steps)
    model = make_model(parts.tokenizer, settings.seed)
    started = time.monotonic()
    loss = pretrain(model, parts.tokenizer, parts.documents, settings, print)
    print(f"{model.num_parameters():,} parameters, loss {loss:.4f}, {time.monotonic() - started:.0f} s")
    write_model(folder, model)
    write_manifest(folder, parts.documents, settings, loss)


if __name__ == "__main__":
    main()
