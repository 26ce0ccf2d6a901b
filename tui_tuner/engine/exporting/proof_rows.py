"""The rows on which exports are compared: the run's own held-out rows, else a few probe conversations."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import numpy as np

from tui_tuner.data.labels import LabelledExample
from tui_tuner.data.rendering.template_choice import PromptRenderer, choose_template
from tui_tuner.data.rows import Message, RowRef
from tui_tuner.data.tokenizer import load_text_tokenizer
from tui_tuner.engine.exporting.source import ExportSource
from tui_tuner.engine.labelling import label_with_progress
from tui_tuner.errors import TunerError
from tui_tuner.events import Progress

MOST_ROWS = 128
PROBES = (
    "What is the capital of France?",
    "Write a short poem about the sea at night.",
    "List three prime numbers above 100, and say why each of them is prime.",
    "def add(a, b):\n    return a + b\n\nExplain this function.",
    "Übersetze ins Englische: Der Zug fährt um 17:45 Uhr ab.",
    "Summarise: the committee met twice, agreed on nothing, and adjourned until spring.",
)


@dataclass(frozen=True, slots=True)
class ProofRows:
    """What is asked of every model that is compared."""

    examples: tuple[LabelledExample, ...]
    what: str
    """In words: "12 held-out rows"."""
    are_held_out: bool
    problem: str = ""
    """Why the run's own rows could not be had."""


def proof_rows(source: ExportSource) -> Generator[Progress, None, ProofRows]:
    """The run's held-out rows, its training rows where it held none out, or probes. Yields how far labelling is."""
    problem = "" if source.run is None else "the run's journal has no plan"
    if source.run is not None and source.run.plan is not None:
        try:
            data = yield from label_with_progress(source.run.plan)
        except TunerError as error:
            problem = error.message
        else:
            rows = data.evaluation or data.train
            examples = tuple(rows[index] for index in range(min(MOST_ROWS, len(rows))))
            what = "held-out" if data.evaluation else "training"
            return ProofRows(examples, f"{len(examples)} {what} rows", bool(data.evaluation))
    examples = probes(source)
    return ProofRows(examples, f"{len(examples)} probe questions", False, problem)


def probes(source: ExportSource) -> tuple[LabelledExample, ...]:
    """Questions that need no data, every token of which counts."""
    has_tokenizer = (source.folder / "tokenizer.json").is_file()
    tokenizer = load_text_tokenizer(source.folder if has_tokenizer else source.base_folder)
    prompts = PromptRenderer(choose_template("auto", tokenizer), tokenizer)
    examples = []
    for number, text in enumerate(PROBES):
        ids = prompts.prompt_ids([Message(role="user", content=text)])
        examples.append(_all_labelled(ids, number))
    return tuple(examples)


def _all_labelled(ids: Sequence[int], number: int) -> LabelledExample:
    tokens = np.asarray(ids, dtype=np.int32)
    return LabelledExample(
        ref=RowRef("probe", number + 1), kind="conversation", input_ids=tokens, labels=tokens.copy(),
        prompt_ids=tokens, answer_start=len(tokens),
    )  # fmt: skip
