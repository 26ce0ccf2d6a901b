"""From the data section of a recipe to all that a run trains on: labelled, audited, fitted, split and counted."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from tui_tuner.data.audit.report import LabelReport
from tui_tuner.data.bad_rows import refuse_bad_rows, refuse_empty, refuse_labels
from tui_tuner.data.certificate import Certificate, certificate_of, read_certificate, refuse_differences
from tui_tuner.data.checked_rows import CheckedRow, ReportProgress, RowStream
from tui_tuner.data.data_facts import exact_facts, template_words
from tui_tuner.data.labelled_rows import LabelledRows
from tui_tuner.data.labels import NOT_TRAINED, LabelledExample
from tui_tuner.data.lengths.row_fitting import RowFitter
from tui_tuner.data.lengths.settling import settle_max_length
from tui_tuner.data.rendering.pool import RenderPool
from tui_tuner.data.rendering.template_choice import ChosenTemplate, choose_template
from tui_tuner.data.rows import BadRow
from tui_tuner.data.splits import split_rows
from tui_tuner.data.store.example_store import StoredExamples
from tui_tuner.data.tokenizer import IntArray, TextTokenizer, load_text_tokenizer
from tui_tuner.errors import DataError
from tui_tuner.places import path_of
from tui_tuner.plan import DataFacts
from tui_tuner.recipe import DataSection, Recipe

MOST_QUESTIONS = 10_000
"""Held-out rows that may be answered; the most that a recipe can ask for."""


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
    """Everything that a run trains on and is measured by. The examples lie on disk and are read one at a time."""

    train: StoredExamples
    evaluation: StoredExamples
    questions: tuple[HeldOutQuestion, ...]
    """One for each of the first evaluation examples, in the same order."""
    facts: DataFacts
    data_hash: str
    template_hash: str
    bad_rows: tuple[BadRow, ...]
    """The first of the rows that were dropped because the recipe allows it."""
    template: ChosenTemplate
    end_of_turn_ids: tuple[int, ...]
    """Tokens at which an answer ends: those that close trained turns, and those of the model's generation config."""
    warnings: tuple[str, ...]
    report: LabelReport
    """The audit of all rows as they were, and what became of those that are too long."""
    certificate: Certificate


def label_data(
    recipe: Recipe,
    tokenizer_folder: Path | None,
    context_length: int,
    progress: ReportProgress,
    now: datetime | None = None,
) -> LabelledData:
    """Read, convert, label, audit, fit and split all rows. `progress` hears how many bytes of how many are done.

    Args:
        now: what the chat template's clock says; the present where None.

    Raises:
        DataError: a file, row, template or tokenizer cannot be used, or no trained token is left.
        LabelError: the audit refuses the labels, or they are not the certified ones.
        MachineError: there is no room for the labels on the disk.
    """
    data = recipe.data
    if tokenizer_folder is None:
        raise DataError("Labels need the model's tokenizer, which is not on this machine.", "Fetch the model first.")
    tokenizer = load_text_tokenizer(tokenizer_folder)
    chosen = choose_template(data.chat_template, tokenizer, now)
    with RenderPool() as pool:
        pool.load(chosen.audited(tokenizer))
        passes = _Passes(recipe, tokenizer, pool, progress)
        labelled, stream, max_length = passes.labelled(context_length)
    train, evaluation, facts, report = _fitted(labelled, stream, data, chosen, max_length)
    refuse_labels(report)
    endings = _Endings(train, tokenizer, facts.max_length)
    template_hash = hashlib.sha256(chosen.text.encode("utf-8")).hexdigest()
    settings = (recipe.objective.train_on, facts.max_length, data.over_length, facts.packing)
    certificate = certificate_of(tokenizer, (template_hash, stream.data_hash()), settings, train, evaluation)
    if data.certificate is not None:
        refuse_differences(read_certificate(path_of(data.certificate)), certificate)
    return LabelledData(
        train=train,
        evaluation=evaluation,
        questions=tuple(_question(example, tokenizer) for example in evaluation[:MOST_QUESTIONS]),
        facts=facts,
        data_hash=stream.data_hash(),
        template_hash=template_hash,
        bad_rows=labelled.bad_rows(),
        template=chosen,
        end_of_turn_ids=endings.ids,
        warnings=(*_warnings(report, train, evaluation), *endings.warnings()),
        report=report,
        certificate=certificate,
    )


@dataclass(frozen=True, slots=True)
class _Passes:
    """The passes over the data: one over all rows, and one over the longer ones where their lengths decide."""

    recipe: Recipe
    tokenizer: TextTokenizer
    pool: RenderPool
    progress: ReportProgress

    def labelled(self, context_length: int) -> tuple[LabelledRows, RowStream, int]:
        """All rows, the stream that gave them, and the max length that they are fitted to."""
        data = self.recipe.data
        max_length = None if data.max_length == "auto" else min(data.max_length, context_length)
        labelled, stream = LabelledRows(data, max_length), RowStream(data)
        for row in self._rows(stream, max_length):
            labelled.add(row)
            if labelled.unusable.count and data.on_bad_row == "refuse":
                stream.stop_labelling()
        refuse_bad_rows(labelled.unusable.first, labelled.unusable.count, data)
        if max_length is None:
            max_length = settle_max_length(data, labelled.lengths(), labelled.has_documents(), context_length)
            longer = labelled.settle(max_length)
            if longer is not None:
                labelled.refit(self._rows(RowStream(data, longer), max_length))
        return labelled, stream, max_length

    def _rows(self, stream: RowStream, max_length: int | None) -> Iterator[CheckedRow]:
        data, train_on = self.recipe.data, self.recipe.objective.train_on
        fitter = None
        if max_length is not None:
            fitter = RowFitter(max_length, data.over_length, self.pool, self.tokenizer, train_on)
        return stream.rows(self.pool, self.tokenizer, train_on, self.progress, fitter)


def _fitted(
    labelled: LabelledRows, stream: RowStream, data: DataSection, chosen: ChosenTemplate, max_length: int
) -> tuple[StoredExamples, StoredExamples, DataFacts, LabelReport]:
    """Training and held-out examples, their facts and the report."""
    found, report = stream.facts(), labelled.report()
    fitted = labelled.fitted(max_length)
    train, evaluation = _split(fitted.examples, data)
    refuse_empty(len(train), labelled.whole(), labelled.bad_rows(), labelled.num_bad, max_length)
    template = template_words(chosen.description, found)
    facts = exact_facts(data, found, template, max_length, fitted, (train, evaluation))
    shortened, left_out = (report.fit.rows_shortened, report.fit.rows_left_out) if report.fit else (0, 0)
    dropped = left_out + labelled.num_bad
    return train, evaluation, facts.model_copy(update={"num_cut": shortened, "num_dropped": dropped}), report


def _split(examples: StoredExamples, data: DataSection) -> tuple[StoredExamples, StoredExamples]:
    """Training and held-out examples: by source where the recipe names held-out data, otherwise drawn by seed."""
    if data.evaluation_sources:
        is_held_out = examples.sources >= len(data.sources)
        return examples.at(np.flatnonzero(~is_held_out)), examples.at(np.flatnonzero(is_held_out))
    train, evaluation = split_rows(len(examples), data.evaluation_fraction, data.seed)
    return examples.at(train), examples.at(evaluation)


def _warnings(report: LabelReport, train: StoredExamples, evaluation: StoredExamples) -> Iterator[str]:
    """What does not stop a run, but should not go unsaid."""
    fit = report.fit
    if fit is not None and fit.rows_left_out:
        yield f"Rows left out, because nothing of them can be kept within {fit.max_length:,}: {fit.rows_left_out:,}."
    if fit is not None and fit.answers_cut:
        yield f"Rows whose answers lose their end at {fit.max_length:,} tokens: {fit.answers_cut:,}."
    leaks = int(np.count_nonzero(np.isin(evaluation.hashes, train.hashes)))
    if leaks:
        yield f"Held-out rows that are also trained on, so that their loss says little: {leaks:,}."


class _Endings:
    """What the trained turns end with, told by the last token of each run of trained tokens."""

    def __init__(self, examples: StoredExamples, tokenizer: TextTokenizer, max_length: int) -> None:
        unsplit = set(tokenizer.added_tokens.values()) | set(tokenizer.special_tokens.values())
        closing: set[int] = set()
        self.num_endless = 0
        """Conversations, not cut, that train no end of turn."""
        for example in examples:
            ends = _run_ends(example).tolist()
            closing.update(ends)
            is_whole = example.kind == "conversation" and example.num_tokens < max_length
            self.num_endless += is_whole and ends[-1] not in unsplit
        self.ids = tuple(dict.fromkeys((*tokenizer.stop_ids, *sorted(closing & unsplit))))

    def warnings(self) -> Iterator[str]:
        if self.num_endless:
            count = f"{self.num_endless:,}"
            yield f"Rows that train no end-of-turn token, so that the model does not learn to stop: {count}."


def _question(example: LabelledExample, tokenizer: TextTokenizer) -> HeldOutQuestion:
    answer = example.labels[example.answer_start :]
    return HeldOutQuestion(
        prompt=example.question or tokenizer.decode(example.prompt_ids, skip_special_tokens=True),
        prompt_ids=tuple(example.prompt_ids.tolist()),
        expected=tokenizer.decode(answer[answer != NOT_TRAINED], skip_special_tokens=True),
    )


def _run_ends(example: LabelledExample) -> IntArray:
    """The last token of each run of trained tokens."""
    is_trained = np.append(example.labels != NOT_TRAINED, False)
    ends: IntArray = example.labels[is_trained[:-1] & ~is_trained[1:]]
    return ends
