"""A look at a sample of the rows, for the plan: what shape they have, and how long they are likely to be."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from tui_tuner.data.bad_rows import refuse_bad_rows
from tui_tuner.data.data_facts import SampledRow, estimated_facts, template_words
from tui_tuner.data.labels import LabelledRow, TrainOn, label_rows
from tui_tuner.data.lengths.shorter_versions import shorter_versions
from tui_tuner.data.rendering.pool import RenderPool
from tui_tuner.data.rendering.template_choice import choose_template
from tui_tuner.data.rows import BadRow, Sample, TextDocument
from tui_tuner.data.source_samples import SourceSamples, read_few_samples
from tui_tuner.data.tokenizer import TextTokenizer, load_text_tokenizer
from tui_tuner.plan import DataFacts
from tui_tuner.recipe import DataSection, Recipe

SURVEYED_ROWS = 96
SURVEYED_CHARACTERS = 20_000
"""Of a longer document only the beginning is tokenised for a survey."""
NO_TOKENIZER = "unknown: there is no tokenizer.json"


def survey_data(recipe: Recipe, tokenizer_folder: Path | None, context_length: int, renderers: RenderPool) -> DataFacts:
    """What a plan needs to know, from about a hundred rows of each source. Without a tokenizer, lengths stay unknown.

    `renderers` must be fresh: it is given the template here.

    Raises:
        DataError: a file, a sampled row or the template cannot be used.
    """
    data = recipe.data
    if tokenizer_folder is None or not (tokenizer_folder / "tokenizer.json").is_file():
        return estimated_facts(data, _few_samples(data), NO_TOKENIZER, (), context_length)
    found = _few_samples(data)
    tokenizer = load_text_tokenizer(tokenizer_folder)
    chosen = choose_template(data.chat_template, tokenizer)
    renderers.load(chosen.program)
    rows: list[SampledRow] = []
    for index, one in enumerate(found):
        labelled = _labelled(one.samples, renderers, tokenizer, recipe.objective.train_on)
        bad_rows = [row for row in labelled if isinstance(row, BadRow)]
        refuse_bad_rows(bad_rows, len(bad_rows), data)
        rows += _sizes(index, one.samples, labelled, recipe)
    words = template_words(chosen.description, [one.facts for one in found])
    return estimated_facts(data, found, words, rows, context_length)


def _few_samples(data: DataSection) -> tuple[SourceSamples, ...]:
    found = tuple(read_few_samples(source, SURVEYED_ROWS) for source in (*data.sources, *data.evaluation_sources))
    bad_rows = [bad for one in found for bad in one.bad_rows]
    refuse_bad_rows(bad_rows, len(bad_rows), data)
    return found


def _labelled(
    samples: Sequence[Sample], pool: RenderPool, tokenizer: TextTokenizer, train_on: TrainOn
) -> list[LabelledRow | BadRow]:
    ((_, rendered),) = pool.rows([(None, [_shortened(sample) for sample in samples])])
    return list(label_rows(rendered, tokenizer, train_on))


def _sizes(
    source: int, samples: Sequence[Sample], rows: Sequence[LabelledRow | BadRow], recipe: Recipe
) -> Iterator[SampledRow]:
    for sample, row in zip(samples, rows, strict=True):
        if isinstance(row, BadRow):
            continue
        stretch = _stretch(sample)
        yield SampledRow(
            source=source,
            num_tokens=round(row.example.num_tokens * stretch),
            num_trained=round(row.example.num_trained * stretch),
            is_document=row.example.kind == "document",
            can_shrink=_can_shrink(sample, recipe),
        )


def _can_shrink(sample: Sample, recipe: Recipe) -> bool:
    """Whether something is kept of a row that is too long, as far as can be told without rendering it again."""
    if recipe.data.over_length == "keep_turns":
        return recipe.objective.train_on == "everything" or bool(shorter_versions(sample))
    return recipe.data.over_length == "cut"


def _stretch(sample: Sample) -> float:
    """How much longer a row is than what is surveyed of it."""
    return max(1.0, len(sample.text) / SURVEYED_CHARACTERS) if isinstance(sample, TextDocument) else 1.0


def _shortened(sample: Sample) -> Sample:
    return replace(sample, text=sample.text[:SURVEYED_CHARACTERS]) if isinstance(sample, TextDocument) else sample
