"""From the data section of a recipe to all that a run trains on: labelled, audited, fitted, split and counted."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tui_tuner.data.audit.report import LabelReport, ReportBuilder
from tui_tuner.data.bad_rows import BadRows, refuse_bad_rows, refuse_empty, refuse_labels
from tui_tuner.data.certificate import Certificate, certificate_of, read_certificate, refuse_differences
from tui_tuner.data.checked_rows import CheckedRow, ReportProgress, RowStream
from tui_tuner.data.data_facts import exact_facts, template_words
from tui_tuner.data.labels import NOT_TRAINED, LabelledExample
from tui_tuner.data.lengths import settle_max_length
from tui_tuner.data.rendering.pool import RenderPool
from tui_tuner.data.rendering.template_choice import ChosenTemplate, choose_template
from tui_tuner.data.rows import BadRow
from tui_tuner.data.splits import split_rows
from tui_tuner.data.store.example_store import ExampleStore, StoredExamples
from tui_tuner.data.store.fitted_store import FittedStore, fit_store
from tui_tuner.data.tokenizer import IntArray, TextTokenizer, load_text_tokenizer
from tui_tuner.errors import DataError
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
    """The audit of all rows, before anything was cut."""
    certificate: Certificate


def label_data(
    recipe: Recipe, tokenizer_folder: Path | None, context_length: int, progress: ReportProgress
) -> LabelledData:
    """Read, convert, label, audit, fit and split all rows. `progress` hears how many bytes of how many are done.

    Raises:
        DataError: a file, row, template or tokenizer cannot be used, or no trained token is left.
        LabelError: the audit refuses the labels.
        MachineError: there is no room for the labels on the disk.
    """
    data = recipe.data
    if tokenizer_folder is None:
        raise DataError("Labels need the model's tokenizer, which is not on this machine.", "Fetch the model first.")
    with RenderPool() as pool:
        tokenizer = load_text_tokenizer(tokenizer_folder)
        chosen = choose_template(data.chat_template, tokenizer)
        stream = RowStream(data)
        pool.load(chosen.audited(tokenizer))
        labelled = _Labelled(data, context_length)
        for row in stream.rows(pool, tokenizer, recipe.objective.train_on, progress):
            labelled.add(row)
            if labelled.bad_rows.count and data.on_bad_row == "refuse":
                stream.stop_labelling()
    refuse_bad_rows(labelled.bad_rows.first, labelled.bad_rows.count, data)
    train, evaluation, facts, warnings = _fitted(labelled, stream, data, chosen, context_length)
    report = labelled.report()
    refuse_labels(report)
    endings = _Endings(train, tokenizer, facts.max_length)
    template_hash = hashlib.sha256(chosen.text.encode("utf-8")).hexdigest()
    settings = (recipe.objective.train_on, facts.max_length, data.over_length, facts.packing)
    certificate = certificate_of(tokenizer, (template_hash, stream.data_hash()), settings, train, evaluation)
    if data.certificate is not None:
        refuse_differences(read_certificate(Path(data.certificate).expanduser()), certificate)
    return LabelledData(
        train=train,
        evaluation=evaluation,
        questions=tuple(_question(example, tokenizer) for example in evaluation[:MOST_QUESTIONS]),
        facts=facts,
        data_hash=stream.data_hash(),
        template_hash=template_hash,
        bad_rows=tuple(labelled.bad_rows.first),
        template=chosen,
        end_of_turn_ids=endings.ids,
        warnings=(*warnings, *endings.warnings()),
        report=report,
        certificate=certificate,
    )


class _Labelled:
    """What labelling gathers of the rows of all sources."""

    def __init__(self, data: DataSection, context_length: int) -> None:
        self._data = data
        self.store = ExampleStore()
        self.bad_rows = BadRows()
        max_length = None if data.max_length == "auto" else min(data.max_length, context_length)
        self._report = ReportBuilder(max_length, data.on_disagreement, data.on_bad_row)

    def add(self, row: CheckedRow) -> None:
        if row.example is None:
            self.bad_rows.add(BadRow(ref=row.ref, reason=row.refusal))
            self._report.add_refused(row.index, row.ref, row.findings[0])
            return
        is_evaluation = row.source >= len(self._data.sources)
        self._report.add(row.index, row.example, row.findings, is_evaluation)
        disagreement = next((one.detail for one in row.findings if one.check == "disagreement"), None)
        if disagreement is not None and self._data.on_disagreement == "drop":
            self.bad_rows.add(BadRow(ref=row.ref, reason=f"the two methods disagree ({disagreement})"))
        else:
            self.store.append(row.example)

    def report(self) -> LabelReport:
        return self._report.report()


def _fitted(
    labelled: _Labelled, stream: RowStream, data: DataSection, chosen: ChosenTemplate, context_length: int
) -> tuple[StoredExamples, StoredExamples, DataFacts, tuple[str, ...]]:
    """Training and held-out examples at the max length that is settled here, their facts, and warnings."""
    store, found = labelled.store, stream.facts()
    max_length = settle_max_length(data, store.lengths(), bool(store.is_document().any()), context_length)
    everything = StoredExamples(store, np.arange(len(store)))
    fitted = fit_store(store, max_length, data.over_length)
    train, evaluation = _split(fitted.examples, data)
    refuse_empty(len(train), everything, labelled.bad_rows, max_length)
    facts = exact_facts(data, found, template_words(chosen.description, found), max_length, fitted, (train, evaluation))
    facts = facts.model_copy(update={"num_dropped": facts.num_dropped + labelled.bad_rows.count})
    leaks = int(np.count_nonzero(np.isin(evaluation.hashes, train.hashes)))
    return train, evaluation, facts, tuple(_warnings(fitted, max_length, leaks))


def _split(examples: StoredExamples, data: DataSection) -> tuple[StoredExamples, StoredExamples]:
    """Training and held-out examples: by source where the recipe names held-out data, otherwise drawn by seed."""
    if data.evaluation_sources:
        is_held_out = examples.sources >= len(data.sources)
        return examples.at(np.flatnonzero(~is_held_out)), examples.at(np.flatnonzero(is_held_out))
    train, evaluation = split_rows(len(examples), data.evaluation_fraction, data.seed)
    return examples.at(train), examples.at(evaluation)


def _warnings(fitted: FittedStore, max_length: int, leaks: int) -> Iterator[str]:
    """What does not stop a run, but should not go unsaid."""
    if fitted.num_dropped:
        yield f"Rows left out, too long or without an answer within {max_length:,}: {fitted.num_dropped:,}."
    if fitted.num_answers_cut:
        yield f"Rows whose answers lose their end at {max_length:,} tokens: {fitted.num_answers_cut:,}."
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
