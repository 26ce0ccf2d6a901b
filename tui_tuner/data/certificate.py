"""The certificate of a run's labels: hashes of everything that decides them, to be compared before they are used."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from tui_tuner.data.labels import LabelledExample
from tui_tuner.data.tokenizer import TextTokenizer
from tui_tuner.errors import Change, DataError, LabelError

CERTIFICATE_VERSION = 1
NOT_MASKING = (
    "certificate.py",
    "label_pieces.py",
    "data_facts.py",
    "audit/report.py",
    "audit/length_counts.py",
    "audit/length_tally.py",
    "audit/copies.py",
    "audit/findings.py",
)
"""Files of this package that show labels or describe them, and decide none."""
ONLY_SHOWING = "looking/"
"""A folder of such files."""


class Certificate(BaseModel):
    """SHA-256 hashes; equal certificates mean equal labels in equal order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = CERTIFICATE_VERSION
    tokenizer: str
    template: str
    data: str
    masking_code: str
    train_on: str
    max_length: int
    over_length: str
    packing: bool
    num_rows: int
    num_evaluation_rows: int
    labels: str
    """Over ids and labels of all training rows, in their order."""
    evaluation_labels: str


_WORDS = {
    "version": "the form of the certificate",
    "tokenizer": "the tokenizer (tokenizer.json or its settings)",
    "template": "the chat template",
    "data": "the bytes of the data files",
    "masking_code": "the code of tuner that decides labels",
    "train_on": "objective.train_on",
    "max_length": "data.max_length",
    "over_length": "data.over_length",
    "packing": "data.packing",
    "num_rows": "the number of training rows",
    "num_evaluation_rows": "the number of held-out rows",
    "labels": "the labels of the training rows",
    "evaluation_labels": "the labels of the held-out rows",
}
_HASHES = {"tokenizer", "template", "data", "masking_code", "labels", "evaluation_labels"}


def _changed(old: Certificate, now: Mapping[str, object]) -> Iterator[str]:
    for field, words in _WORDS.items():
        before = getattr(old, field)
        if field in now and before != now[field]:
            yield f"{words} changed" if field in _HASHES else f"{words} changed from {before} to {now[field]}"


class LabelHash:
    """SHA-256 over ids and labels of rows, fed one row at a time."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self.num_rows = 0

    def add(self, example: LabelledExample) -> None:
        self._digest.update(len(example.input_ids).to_bytes(8, "little"))
        for array in (example.input_ids, example.labels):
            self._digest.update(np.ascontiguousarray(array, dtype="<i4").tobytes())
        self.num_rows += 1

    def hexdigest(self) -> str:
        return self._digest.hexdigest()


def certificate_of(
    tokenizer: TextTokenizer,
    hashes: tuple[str, str],
    settings: tuple[str, int, str, bool],
    train: Iterable[LabelledExample],
    evaluation: Iterable[LabelledExample],
) -> Certificate:
    """The certificate of labelled data.

    `hashes` are those of template and data files; `settings` are train_on, max length, over_length and packing.
    """
    of_train, of_evaluation = LabelHash(), LabelHash()
    for rows, digest in ((train, of_train), (evaluation, of_evaluation)):
        for example in rows:
            digest.add(example)
    template_hash, data_hash = hashes
    train_on, max_length, over_length, packing = settings
    return Certificate(
        tokenizer=tokenizer_hash(tokenizer),
        template=template_hash,
        data=data_hash,
        masking_code=masking_code_hash(),
        train_on=train_on,
        max_length=max_length,
        over_length=over_length,
        packing=packing,
        num_rows=of_train.num_rows,
        num_evaluation_rows=of_evaluation.num_rows,
        labels=of_train.hexdigest(),
        evaluation_labels=of_evaluation.hexdigest(),
    )


def differences(old: Certificate, new: Certificate) -> tuple[str, ...]:
    """What has changed, in words, causes before effects; empty where the labels are the same."""
    return known_differences(old, {field: getattr(new, field) for field in _WORDS})


def known_differences(old: Certificate, now: Mapping[str, object]) -> tuple[str, ...]:
    """The same of the fields that are known so far."""
    return tuple(_changed(old, now))


def changes(old: Certificate, new: Certificate) -> tuple[Change, ...]:
    """The same as a table, with the first digits of hashes."""
    return tuple(
        Change(what=words, before=str(getattr(old, field))[:12], now=str(getattr(new, field))[:12])
        for field, words in _WORDS.items()
        if getattr(old, field) != getattr(new, field)
    )


def read_certificate(path: Path) -> Certificate:
    """Read a certificate that was written as JSON.

    Raises:
        DataError: the file cannot be read, or is no certificate.
    """
    try:
        return Certificate.model_validate_json(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.", "Check data.certificate.") from error
    except ValidationError as error:
        raise DataError(f"{path} is no certificate of labels.", "Name the certificate.json of a run.") from error


def refuse_differences(old: Certificate, new: Certificate) -> None:
    """Stop where labels are not those that were certified.

    Raises:
        LabelError: names everything that changed.
    """
    changed = differences(old, new)
    if changed:
        raise LabelError(
            f"The labels are not the certified ones: {'; '.join(changed)}.",
            "Undo the change; or look at the new labels with `tuner labels`, and leave out data.certificate.",
        )


def tokenizer_hash(tokenizer: TextTokenizer) -> str:
    """Over the vocabulary's file and what else decides how text becomes tokens and where answers end."""
    settings = repr(
        (
            sorted(tokenizer.named_tokens.items()),
            sorted(tokenizer.added_tokens.items()),
            tokenizer.adds_bos,
            tokenizer.stop_ids,
        )
    )
    return hashlib.sha256(f"{tokenizer.fingerprint}{settings}".encode()).hexdigest()


def masking_code_hash() -> str:
    """Over the source files of this package that take part in deciding labels."""
    package = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package).as_posix()
        if name not in NOT_MASKING and not name.startswith(ONLY_SHOWING):
            digest.update(name.encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
