"""Real checkpoints on real data sets, where they are on this machine: `../shared/data` beside the project."""

import json
from pathlib import Path

import pytest

from tui_tuner.controls import Controls
from tui_tuner.engine.run import run
from tui_tuner.events import EvalFinished, RunFinished, StepFinished, TrainEvent
from tui_tuner.recipe import parse_recipe

SHARED = Path(__file__).parents[3] / "shared/data"
MODEL = SHARED / "models/stories260K_hf"
QUESTION_NEWLINE_ANSWER = (
    "{{ bos_token }}{% for m in messages %}{{ m.content }}{% if not loop.last %}{{ '\\n' }}{% endif %}{% endfor %}"
)
DATASETS = {
    "gsm8k": "gsm8k/train.jsonl",
    "oasst trees": "oasst/en_100_tree.jsonl",
    "oasst messages": "oasst/en_100_message.jsonl",
    "gpteacher": "gpteacher/roleplay-simple-deduped.json",
    "preference, chosen": "preference/dpo_en_demo.json",
    "sharegpt": "fastchat/dummy_conversation.json",
    "alpaca": "litgpt_fixtures/alpaca.json",
    "shakespeare": "text/tinyshakespeare.txt",
    "stories": "text/tinystories_sample.txt",
}
pytestmark = pytest.mark.skipif(not MODEL.is_dir(), reason=f"no test data at {SHARED}")


def train(folder: Path, data: Path, settings: str) -> list[TrainEvent]:
    recipe = parse_recipe(f"""
output = {{folder = "{folder / "runs"}"}}
{settings}
[model]
source = "{MODEL}"
[[data.sources]]
path = "{data}"
""")
    return list(run(recipe, Controls()))


@pytest.mark.parametrize("name", DATASETS)
def test_every_data_set_trains_end_to_end(tmp_path: Path, name: str) -> None:
    settings = """
training = {max_steps = 2, micro_batch_size = 2, gradient_accumulation = 1, sample_prompts = []}
data.max_length = 128
data.evaluation_fraction = 0.001
data.on_bad_row = "drop"
data.over_length = "cut"
"""
    events = train(tmp_path, SHARED / "datasets" / DATASETS[name], settings)
    assert [event.step for event in events if isinstance(event, StepFinished)] == [1, 2]
    assert isinstance(events[-1], RunFinished)


def test_the_starting_loss_on_gsm8k_is_the_reference_loss(tmp_path: Path) -> None:
    """README.md beside the data: 5.421 over the first 200 test rows, BOS first, at most 512 tokens a row."""
    rows = (SHARED / "datasets/gsm8k/test.jsonl").read_text().splitlines()[:200]
    (tmp_path / "held_out.jsonl").write_text("\n".join(rows))
    (tmp_path / "train.jsonl").write_text(json.dumps(json.loads(rows[0])) + "\n")
    (tmp_path / "template.jinja").write_text(QUESTION_NEWLINE_ANSWER)
    settings = f"""
objective.train_on = "everything"
training = {{max_steps = 1, sample_prompts = []}}
data.max_length = 512
data.chat_template = "{tmp_path / "template.jinja"}"
data.evaluation_sources = [{{path = "{tmp_path / "held_out.jsonl"}"}}]
"""
    events = train(tmp_path, tmp_path / "train.jsonl", settings)
    first = next(event for event in events if isinstance(event, EvalFinished))
    assert (first.step, first.rows) == (0, 200)
    assert first.loss == pytest.approx(5.421, abs=5e-4)
