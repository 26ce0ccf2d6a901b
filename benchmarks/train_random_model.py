"""One run of `tuner train` on a random model of a real shape: speed, memory beside the estimate, and the proof."""

import argparse
import json
import random
import statistics
import string
import subprocess
import sys
from pathlib import Path

from tui_tuner.engine.bench.named_models import SHAPES, write_random_model

WARMUP_STEPS = 5


def main() -> None:
    options = _options()
    out = Path(options.out)
    model = write_random_model(out / f"model-{options.size}", options.size)
    rows = _write_rows(out / "rows.jsonl", options.length, 4 * options.steps)
    recipe = out / f"{options.size}-{options.quantization}-{options.recompute}.toml"
    recipe.write_text(_recipe(options, model, rows, out / "runs"))
    command = [sys.executable, "-m", "tui_tuner", "train", str(recipe), "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}")
    print(json.dumps(_summary(options, [json.loads(line) for line in done.stdout.splitlines()])))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", help="folder for the model, the rows and the runs")
    parser.add_argument("--size", choices=sorted(SHAPES), default="1b")
    parser.add_argument("--quantization", choices=["none", "nf4"], default="none")
    parser.add_argument("--recompute", choices=["off", "layers"], default="layers")
    parser.add_argument("--length", type=int, default=2048)
    parser.add_argument("--micro-batch", type=int, default=2)
    parser.add_argument("--steps", type=int, default=25)
    return parser.parse_args()


def _write_rows(path: Path, length: int, count: int) -> Path:
    """Rows of exactly `length` tokens with the byte-level tokenizer: 4 control tokens and the rest letters."""
    letters = random.Random(0)
    with path.open("w") as file:
        for _ in range(count):
            text = "".join(letters.choices(string.ascii_lowercase + " ", k=length - 4))
            messages = [{"role": "user", "content": text[:8]}, {"role": "assistant", "content": text[8:]}]
            file.write(json.dumps({"messages": messages}) + "\n")
    return path


def _recipe(options: argparse.Namespace, model: Path, rows: Path, runs: Path) -> str:
    return f"""
model = {{source = "{model}", quantization = "{options.quantization}"}}
acceleration = {{recompute = "{options.recompute}", device = "cuda"}}
output = {{folder = "{runs}"}}
[data]
sources = [{{path = "{rows}"}}]
max_length = {options.length}
packing = false
evaluation_fraction = 0.02
[training]
max_steps = {options.steps}
micro_batch_size = {options.micro_batch}
gradient_accumulation = 1
evaluate_every = 1000
sample_tokens = 8
"""


def _summary(options: argparse.Namespace, events: list[dict[str, object]]) -> dict[str, object]:
    steps = [event for event in events if event["kind"] == "step"]
    started = next(event for event in events if event["kind"] == "run_started")
    proof = next(event for event in events if event["kind"] == "proof")
    speeds = [float(str(one["tokens"])) / float(str(one["seconds"])) for one in steps[WARMUP_STEPS:]]
    plan = started["plan"]
    assert isinstance(plan, dict)
    return {
        **{name: getattr(options, name) for name in ("size", "quantization", "recompute", "length", "micro_batch")},
        "tokens_per_second": round(statistics.median(speeds)),
        "peak_gib": round(float(str(steps[-1]["memory"])) / 2**30, 2),
        "estimate_gib": round(plan["memory"]["total"] / 2**30, 2),
        "first_loss": steps[0]["loss"],
        "last_loss": steps[-1]["loss"],
        "proof": proof["message"],
        "proof_passed": proof["passed"],
    }


if __name__ == "__main__":
    main()
