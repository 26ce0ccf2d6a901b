"""Labelled examples on disk: written once in their order, read back one at a time. Memory holds a few bytes of each.

The files have no names, so that they are gone with the store, whatever happens to the process.
"""

import hashlib
import os
import struct
import tempfile
from array import array
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import IO, overload

import numpy as np

from tui_tuner.data.labels import NOT_TRAINED, LabelledExample
from tui_tuner.data.rendering.rows import RowKind
from tui_tuner.data.rows import RowRef
from tui_tuner.data.splits import IndexArray
from tui_tuner.data.tokenizer import IntArray
from tui_tuner.errors import MachineError

KINDS: tuple[RowKind, ...] = ("conversation", "document")
WRITE_BUFFER = 2**18
RECORD = struct.Struct("<4q7i")
TOKEN = np.dtype("<i4")
FlagArray = np.ndarray[tuple[int], np.dtype[np.bool_]]
HashArray = np.ndarray[tuple[int], np.dtype[np.uint64]]


class ExampleStore:
    """Grows by `append`; examples are numbered in the order in which they came."""

    def __init__(self, folder: Path | None = None) -> None:
        """`folder` takes the nameless files: that for temporary files where None. Five bytes a token are needed."""
        self._tokens, self._trained = _nameless_file(folder), _nameless_file(folder)
        self._questions, self._records = _nameless_file(folder), _nameless_file(folder)
        self._num_ids = self._num_question_bytes = 0
        self._is_flushed = True
        self._lengths, self._num_trained, self._sources = array("i"), array("i"), array("h")
        self._is_document, self._hashes = array("b"), array("Q")
        self._paths: dict[str, int] = {}
        self.largest_id = -1
        """The largest token id of all examples."""

    def __len__(self) -> int:
        return len(self._lengths)

    def append(self, example: LabelledExample) -> int:
        """Add an example; returns its number.

        Raises:
            MachineError: the disk is full.
        """
        question = example.question.encode("utf-8", "surrogatepass")
        has_own_prompt = not _is_prefix(example)
        record = RECORD.pack(
            self._num_ids,
            self._num_ids + example.num_tokens if has_own_prompt else self._num_ids,
            self._num_question_bytes,
            example.ref.line,
            example.num_tokens,
            len(example.prompt_ids),
            len(question),
            example.answer_start,
            self._paths.setdefault(example.ref.path, len(self._paths)),
            example.source,
            KINDS.index(example.kind),
        )
        ids = np.concatenate((example.input_ids, example.prompt_ids)) if has_own_prompt else example.input_ids
        is_trained = np.zeros(len(ids), dtype=np.uint8)
        is_trained[: example.num_tokens] = example.labels != NOT_TRAINED
        try:
            self._tokens.write(ids.astype(TOKEN, copy=False).tobytes())
            self._trained.write(is_trained.tobytes())
            self._questions.write(question)
            self._records.write(record)
        except OSError as error:
            raise _no_space(error) from error
        self._is_flushed = False
        self._num_ids += len(ids)
        self._num_question_bytes += len(question)
        self._lengths.append(example.num_tokens)
        self._num_trained.append(example.num_trained)
        self._sources.append(example.source)
        self._is_document.append(example.kind == "document")
        self._hashes.append(_hash(example))
        self.largest_id = max(self.largest_id, int(ids.max(initial=-1)))
        return len(self._lengths) - 1

    def read(self, number: int) -> LabelledExample:
        """Read an example back, equal to the one that was appended."""
        self._flush()
        record = RECORD.unpack(os.pread(self._records.fileno(), RECORD.size, number * RECORD.size))
        start, prompt_start, question_start, line, num_tokens, prompt_length, question_length = record[:7]
        answer_start, path, source, kind = record[7:]
        ids = self._ids(start, num_tokens)
        trained = os.pread(self._trained.fileno(), num_tokens, start)
        labels = np.where(np.frombuffer(trained, dtype=np.bool_), ids, np.int32(NOT_TRAINED))
        is_prefix = prompt_start == start
        question = os.pread(self._questions.fileno(), question_length, question_start)
        return LabelledExample(
            ref=RowRef(self._path(path), line),
            kind=KINDS[kind],
            input_ids=ids,
            labels=labels,
            prompt_ids=ids[:prompt_length] if is_prefix else self._ids(prompt_start, prompt_length),
            answer_start=answer_start,
            question=question.decode("utf-8", "surrogatepass"),
            source=source,
        )

    def lengths(self) -> IntArray:
        """Tokens of each example."""
        return np.array(self._lengths, dtype=np.int32)

    def num_trained(self) -> IntArray:
        """Tokens of each example that count in the loss."""
        return np.array(self._num_trained, dtype=np.int32)

    def sources(self) -> IntArray:
        """Index of each example's data source."""
        return np.array(self._sources, dtype=np.int32)

    def is_document(self) -> FlagArray:
        """Whether each example is a document, or a piece of one."""
        return np.array(self._is_document, dtype=np.bool_)

    def hashes(self) -> HashArray:
        """64 bits over the tokens of each example: equal examples have equal ones."""
        return np.array(self._hashes, dtype=np.uint64)

    def _ids(self, start: int, count: int) -> IntArray:
        content = os.pread(self._tokens.fileno(), count * TOKEN.itemsize, start * TOKEN.itemsize)
        return np.frombuffer(content, dtype=TOKEN).astype(np.int32, copy=False)

    def _path(self, number: int) -> str:
        return next(path for path, one in self._paths.items() if one == number)

    def _flush(self) -> None:
        if self._is_flushed:
            return
        try:
            for file in (self._tokens, self._trained, self._questions, self._records):
                file.flush()
        except OSError as error:
            raise _no_space(error) from error
        self._is_flushed = True


class StoredExamples(Sequence[LabelledExample]):
    """Some examples of a store in an order of their own. Each is read when it is asked for, and not kept."""

    def __init__(self, store: ExampleStore, numbers: IndexArray) -> None:
        self._store = store
        self._numbers = numbers

    @cached_property
    def lengths(self) -> IntArray:
        """Tokens of each."""
        return self._store.lengths()[self._numbers]

    @cached_property
    def num_trained(self) -> IntArray:
        """Tokens of each that count in the loss."""
        return self._store.num_trained()[self._numbers]

    @cached_property
    def sources(self) -> IntArray:
        """Index of the data source of each."""
        return self._store.sources()[self._numbers]

    @property
    def hashes(self) -> HashArray:
        """64 bits over the tokens of each."""
        return self._store.hashes()[self._numbers]

    @property
    def largest_id(self) -> int:
        """The largest token id of the whole store, which these are a part of."""
        return self._store.largest_id

    def at(self, places: IndexArray) -> "StoredExamples":
        """Those at some places, in the order of these."""
        return StoredExamples(self._store, self._numbers[places])

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, index: int) -> LabelledExample: ...
    @overload
    def __getitem__(self, index: slice) -> "StoredExamples": ...
    def __getitem__(self, index: int | slice) -> "LabelledExample | StoredExamples":
        if isinstance(index, slice):
            return StoredExamples(self._store, self._numbers[index])
        return self._store.read(int(self._numbers[index]))


def stored(examples: Sequence[LabelledExample]) -> StoredExamples:
    """Examples put into a store of their own."""
    store = ExampleStore()
    numbers = [store.append(example) for example in examples]
    return StoredExamples(store, np.array(numbers, dtype=np.intp))


def _is_prefix(example: LabelledExample) -> bool:
    length = len(example.prompt_ids)
    return length <= example.num_tokens and np.array_equal(example.prompt_ids, example.input_ids[:length])


def _hash(example: LabelledExample) -> int:
    content = example.input_ids.astype(TOKEN, copy=False).tobytes()
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")


def _nameless_file(folder: Path | None) -> IO[bytes]:
    try:
        return tempfile.TemporaryFile(buffering=WRITE_BUFFER, dir=folder)
    except OSError as error:
        raise _no_space(error) from error


def _no_space(error: OSError) -> MachineError:
    return MachineError(
        f"The labels cannot be kept in {tempfile.gettempdir()}: {error.strerror}.",
        "Make room there, or name another folder in the variable TMPDIR.",
    )
