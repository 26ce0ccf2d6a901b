"""From the data section of a recipe to labelled examples for training and evaluation, with every count.

`survey_data` looks at a sample of the rows for the plan; `label_data` labels them all for the run.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tui_tuner.data.bad_rows import refuse_bad_rows, refuse_empty
from tui_tuner.data.chat import ChosenTemplate, choose_template
from tui_tuner.data.data_facts import SampledRow, estimated_facts, exact_facts
from tui_tuner.data.labels import NOT_TRAINED, LabelledExample, TrainOn, label_samples
from tui_tuner.data.lengths import FittedExamples, fit_examples, settle_max_length
from tui_tuner.data.rows import BadRow, Sample, TextDocument
from tui_tuner.data.source_samples import SourceSamples, hash_sources, read_few_samples, read_samples
from tui_tuner.data.splits import split_rows
from tui_tuner.data.tokenizer import IntArray, TextTokenizer, load_text_tokenizer
from tui_tuner.errors import DataError
from tui_tuner.plan import DataFacts
from tui_tuner.recipe import DataSection, Recipe

ReportProgress = Callable[[int, int], None]
SURVEYED_ROWS = 200
SURVEYED_CHARACTERS = 20_000
"""Of a longer document only the beginning is tokenised for a survey."""
REPORTED_ROWS = 64
NO_TOKENIZER = "unknown: there is no tokenizer.json"
NO_TEMPLATE = "none: the data is plain text"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOutQuestion:
    """A held-out row as something to answer."""

    prompt: str
    """As a person reads it: without the chat template around it."""
    prompt_ids: tuple[int, ...]
    expected: str
    """The trained tokens of the answer as text, without special tokens: compare text decoded in the same way."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelledData:
    """Everything that a run trains on and is measured by."""

    train: tuple[LabelledExample, ...]
    evaluation: tuple[LabelledExample, ...]
    questions: tuple[HeldOutQuestion, ...]
    """One for each evaluation example, in the same order."""
    facts: DataFacts
    data_hash: str
    template_hash: str
    bad_rows: tuple[BadRow, ...]
    """Rows that were dropped because the recipe allows it."""
    template: ChosenTemplate
    end_of_turn_ids: tuple[int, ...]
    """Tokens at which an answer ends: those that close trained turns, and those of the model's generation config."""
    warnings: tuple[str, ...]


def label_data(
    recipe: Recipe, tokenizer_folder: Path | None, context_length: int, progress: ReportProgress
) -> LabelledData:
    """Read, convert, label, fit and split all rows. `progress` hears how many rows of how many are labelled.

    Raises:
        DataError: a file, row, template or tokenizer cannot be used, or no trained token is left.
    """
    data = recipe.data
    if tokenizer_folder is None:
        raise DataError("Labels need the model's tokenizer, which is not on this machine.", "Fetch the model first.")
    tokenizer = load_text_tokenizer(tokenizer_folder)
    chosen = choose_template(data.chat_template, tokenizer)
    found = tuple(read_samples(source) for source in (*data.sources, *data.evaluation_sources))
    bad_rows = [bad for one in found for bad in one.bad_rows]
    refuse_bad_rows(bad_rows, data)
    examples, unlabelled = _label(found, chosen, tokenizer, recipe.objective.train_on, progress)
    bad_rows += unlabelled
    refuse_bad_rows(bad_rows, data)
    lengths = [example.num_tokens for example in examples]
    has_documents = any(example.kind == "document" for example in examples)
    max_length = settle_max_length(data, lengths, has_documents, context_length)
    fitted = fit_examples(examples, max_length, data.over_length)
    train, evaluation = _split(fitted.examples, data)
    refuse_empty(train, examples, bad_rows, max_length)
    facts = exact_facts(data, found, _template_words(chosen, found), max_length, fitted, (train, evaluation))
    return LabelledData(
        train=train,
        evaluation=evaluation,
        questions=tuple(_question(example, tokenizer) for example in evaluation),
        facts=facts.model_copy(update={"num_dropped": facts.num_dropped + len(bad_rows)}),
        data_hash=hash_sources((*data.sources, *data.evaluation_sources), found),
        template_hash=hashlib.sha256(chosen.text.encode("utf-8")).hexdigest(),
        bad_rows=tuple(bad_rows),
        template=chosen,
        end_of_turn_ids=_end_of_turn_ids(train, tokenizer),
        warnings=_warnings(train, fitted, max_length, tokenizer),
    )


def survey_data(recipe: Recipe, tokenizer_folder: Path | None, context_length: int) -> DataFacts:
    """What a plan needs to know, from about 200 rows of each source. Without a tokenizer, lengths stay unknown.

    Raises:
        DataError: a file, a sampled row or the template cannot be used.
    """
    data = recipe.data
    found = tuple(read_few_samples(source, SURVEYED_ROWS) for source in (*data.sources, *data.evaluation_sources))
    refuse_bad_rows([bad for one in found for bad in one.bad_rows], data)
    if tokenizer_folder is None or not (tokenizer_folder / "tokenizer.json").is_file():
        return estimated_facts(data, found, NO_TOKENIZER, (), context_length)
    tokenizer = load_text_tokenizer(tokenizer_folder)
    chosen = choose_template(data.chat_template, tokenizer)
    rows: list[SampledRow] = []
    for index, one in enumerate(found):
        sizes, bad_rows = _sizes(index, one.samples, chosen, tokenizer, recipe.objective.train_on)
        refuse_bad_rows(bad_rows, data)
        rows += sizes
    return estimated_facts(data, found, _template_words(chosen, found), rows, context_length)


def _label(
    found: Sequence[SourceSamples],
    chosen: ChosenTemplate,
    tokenizer: TextTokenizer,
    train_on: TrainOn,
    progress: ReportProgress,
) -> tuple[list[LabelledExample], list[BadRow]]:
    """Examples and bad rows of all sources; `source` counts training sources first, then held-out ones."""
    examples: list[LabelledExample] = []
    bad_rows: list[BadRow] = []
    total, done = sum(len(one.samples) for one in found), 0
    for index, one in enumerate(found):
        for labelled in label_samples(one.samples, chosen.template, tokenizer, train_on):
            if isinstance(labelled, BadRow):
                bad_rows.append(labelled)
            else:
                examples.append(replace(labelled, source=index))
            done += 1
            if done % REPORTED_ROWS == 0 or done == total:
                progress(done, total)
    return examples, bad_rows


def _split(
    examples: Sequence[LabelledExample], data: DataSection
) -> tuple[tuple[LabelledExample, ...], tuple[LabelledExample, ...]]:
    """Training and held-out examples: by source where the recipe names held-out data, otherwise drawn by seed."""
    num_sources = len(data.sources)
    if data.evaluation_sources:
        held_out = tuple(example for example in examples if example.source >= num_sources)
        return tuple(example for example in examples if example.source < num_sources), held_out
    train, evaluation = split_rows(len(examples), data.evaluation_fraction, data.seed)
    return tuple(examples[index] for index in train.tolist()), tuple(examples[index] for index in evaluation.tolist())


def _question(example: LabelledExample, tokenizer: TextTokenizer) -> HeldOutQuestion:
    answer = example.labels[example.answer_start :]
    return HeldOutQuestion(
        prompt=example.question or tokenizer.decode(example.prompt_ids, skip_special_tokens=True),
        prompt_ids=tuple(example.prompt_ids.tolist()),
        expected=tokenizer.decode(answer[answer != NOT_TRAINED], skip_special_tokens=True),
    )


def _template_words(chosen: ChosenTemplate, found: Iterable[SourceSamples]) -> str:
    return NO_TEMPLATE if all(one.facts.shape == "text" for one in found) else chosen.description


def _end_of_turn_ids(examples: Sequence[LabelledExample], tokenizer: TextTokenizer) -> tuple[int, ...]:
    closing = {int(token) for example in examples for token in _run_ends(example)}
    unsplit = set(tokenizer.added_tokens.values()) | set(tokenizer.special_tokens.values())
    return tuple(dict.fromkeys((*tokenizer.stop_ids, *sorted(closing & unsplit))))


def _run_ends(example: LabelledExample) -> IntArray:
    """The last token of each run of trained tokens."""
    is_trained = np.append(example.labels != NOT_TRAINED, False)
    ends: IntArray = example.labels[is_trained[:-1] & ~is_trained[1:]]
    return ends


def _warnings(
    train: Sequence[LabelledExample], fitted: FittedExamples, max_length: int, tokenizer: TextTokenizer
) -> tuple[str, ...]:
    """What does not stop a run, but should not go unsaid."""
    warnings = []
    if fitted.num_dropped:
        warnings.append(f"Rows left out, too long or without an answer within {max_length:,}: {fitted.num_dropped:,}.")
    if fitted.num_answers_cut:
        warnings.append(f"Rows whose answers lose their end at {max_length:,} tokens: {fitted.num_answers_cut:,}.")
    unsplit = set(tokenizer.added_tokens.values()) | set(tokenizer.special_tokens.values())
    conversations = [one for one in train if one.kind == "conversation" and one.num_tokens < max_length]
    endless = sum(int(_run_ends(one)[-1]) not in unsplit for one in conversations)
    if endless:
        warnings.append(f"Rows that train no end-of-turn token, so that the model does not learn to stop: {endless:,}.")
    return tuple(warnings)


def _sizes(
    source: int, samples: Sequence[Sample], chosen: ChosenTemplate, tokenizer: TextTokenizer, train_on: TrainOn
) -> tuple[list[SampledRow], list[BadRow]]:
    sizes: list[SampledRow] = []
    bad_rows: list[BadRow] = []
    stretches = [_stretch(sample) for sample in samples]
    for stretch, labelled in zip(
        stretches, label_samples(map(_shortened, samples), chosen.template, tokenizer, train_on), strict=True
    ):
        if isinstance(labelled, BadRow):
            bad_rows.append(labelled)
            continue
        sizes.append(
            SampledRow(
                source=source,
                num_tokens=round(labelled.num_tokens * stretch),
                num_trained=round(labelled.num_trained * stretch),
                is_document=labelled.kind == "document",
            )
        )
    return sizes, bad_rows


def _stretch(sample: Sample) -> float:
    return max(1.0, len(sample.text) / SURVEYED_CHARACTERS) if isinstance(sample, TextDocument) else 1.0


def _shortened(sample: Sample) -> Sample:
    return replace(sample, text=sample.text[:SURVEYED_CHARACTERS]) if isinstance(sample, TextDocument) else sample
