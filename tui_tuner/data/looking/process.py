"""Writes a look: `python -m tui_tuner.data.looking.process FOLDER`, where the folder holds what is asked for.

It ends with the process that started it, which holds its standard input open and may kill it at any time.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from tui_tuner.data.audit.copies import LEAK, CopyFinder
from tui_tuner.data.checked_rows import CheckedRow, RowStream
from tui_tuner.data.labels import LabelledExample
from tui_tuner.data.lengths.row_fitting import FittedRow, RowFitter
from tui_tuner.data.looking.curve import CurveTally
from tui_tuner.data.looking.files import (
    CURVE_NAME,
    FIT,
    FITS_NAME,
    KINDS,
    ROW,
    ROWS_NAME,
    UNUSABLE,
    FindingFile,
    LookState,
    RecordFile,
    TokenFile,
    mapped,
    write_state,
)
from tui_tuner.data.looking.request import REQUEST_NAME, FitRequest, LookRequest
from tui_tuner.data.rendering.pool import RenderPool
from tui_tuner.data.rendering.template_choice import choose_template
from tui_tuner.data.tokenizer import TextTokenizer, load_text_tokenizer
from tui_tuner.errors import DataError, TunerError

STATE_SECONDS = 0.25
NICENESS = 10
"""A run may be training beside it."""


def main(folder: Path) -> int:
    """Answer the request in the folder; what goes wrong is written there too."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.nice(NICENESS)
    try:
        answer_request(folder)
    except TunerError as error:
        write_state(folder, LookState(stage="failed", message=error.message, hint=error.hint))
        return 1
    except OSError as error:
        hint = "Make room there; the labels of a look take five bytes a token."
        write_state(folder, LookState(stage="failed", message=f"{folder}: {error.strerror}.", hint=hint))
        return 1
    return 0


def answer_request(folder: Path) -> None:
    """Write the look, or the fit, that the folder's request asks for.

    Raises:
        DataError: the data, the template or the tokenizer cannot be used.
        OSError: the folder cannot be written.
    """
    text = (folder / REQUEST_NAME).read_text(encoding="utf-8")
    if (folder.parent / REQUEST_NAME).is_file():
        whole = LookRequest.model_validate_json((folder.parent / REQUEST_NAME).read_text(encoding="utf-8"))
        _Look(whole, folder).fit(FitRequest.model_validate_json(text))
    else:
        _Look(LookRequest.model_validate_json(text), folder).all_rows()


class _Look:
    def __init__(self, request: LookRequest, folder: Path) -> None:
        self._request, self._folder = request, folder
        self._tokenizer: TextTokenizer = load_text_tokenizer(Path(request.tokenizer_folder))
        self._chosen = choose_template(request.data.chat_template, self._tokenizer)
        self._tokens, self._findings = TokenFile(folder), FindingFile(folder)
        unsplit = {*self._tokenizer.added_tokens.values(), *self._tokenizer.special_tokens.values()}
        self._state = LookState(
            template=self._chosen.description,
            special_ids=tuple(sorted(unsplit)),
            stop_ids=self._tokenizer.stop_ids,
        )

    def all_rows(self) -> None:
        rows, curve, copies = RecordFile(self._folder / ROWS_NAME, ROW), CurveTally(), CopyFinder()
        paths: dict[str, int] = {}

        def flush() -> None:
            self._tokens.flush()
            self._findings.flush()
            rows.flush()
            np.save(self._folder / CURVE_NAME, curve.counts())
            self._state = self._state.model_copy(update={"paths": tuple(paths)})

        num_training_sources = len(self._request.data.sources)
        for row in self._rows(RowStream(self._request.data), None, flush):
            findings = row.findings
            if row.example is not None:
                findings = (*findings, *copies.add(row.index, row.example, row.source >= num_training_sources))
                curve.add(row.example)
            for finding in findings:
                self._findings.append(row.index, finding)
            rows.append(self._row_record(row, paths.setdefault(row.ref.path, len(paths))))
        for index, _ in copies.late_leaks():
            self._findings.append(index, LEAK)
        flush()
        self._finish()

    def fit(self, request: FitRequest) -> None:
        whole = mapped(self._folder.parent / ROWS_NAME, ROW)
        is_longer = (whole["length"] > request.max_length) & (whole["kind"] == KINDS["conversation"])
        fits = RecordFile(self._folder / FITS_NAME, FIT)

        def flush() -> None:
            self._tokens.flush()
            self._findings.flush()
            fits.flush()

        if is_longer.any():
            for row in self._rows(RowStream(self._request.data, is_longer), request, flush):
                is_same = row.example is not None and row.example.num_tokens == int(whole["length"][row.index])
                if row.fitted is None or not is_same:
                    raise DataError(f"{row.ref} is not what it was when it was read first.", "Look again (r).")
                for finding in row.fitted.findings:
                    self._findings.append(row.index, finding)
                fits.append(self._fit_record(row.index, row.fitted))
        flush()
        self._finish()

    def _rows(self, stream: RowStream, request: FitRequest | None, flush: Callable[[], None]) -> Iterable[CheckedRow]:
        """All rows of the stream; now and then what was written becomes visible to readers."""
        train_on, next_flush = self._request.train_on, 0.0

        def progress(done: int, total: int) -> None:
            nonlocal next_flush
            self._state = self._state.model_copy(update={"bytes_done": done, "bytes_total": total})
            if time.monotonic() >= next_flush:
                flush()
                write_state(self._folder, self._state)
                next_flush = time.monotonic() + STATE_SECONDS

        with RenderPool() as pool:
            pool.load(self._chosen.audited(self._tokenizer))
            fitter = None
            if request is not None:
                fitter = RowFitter(request.max_length, request.over_length, pool, self._tokenizer, train_on)
            yield from stream.rows(pool, self._tokenizer, train_on, progress, fitter)

    def _row_record(self, row: CheckedRow, path: int) -> tuple[int, ...]:
        example = row.example
        if example is None:
            return 0, row.ref.line, 0, 0, -1, path, row.source, UNUSABLE
        start = self._tokens.append(example)
        first = _first_trained(example)
        kind = KINDS[example.kind]
        return start, row.ref.line, example.num_tokens, example.num_trained, first, path, row.source, kind

    def _fit_record(self, index: int, fitted: FittedRow) -> tuple[int, ...]:
        kept = fitted.example
        if kept is None:
            return index, -1, 0, 0, 0, 0
        start = self._tokens.append(kept) if fitted.num_turns_dropped else -1
        return index, start, kept.num_tokens, kept.num_trained, fitted.num_turns_dropped, 0

    def _finish(self) -> None:
        state = self._state
        write_state(self._folder, state.model_copy(update={"stage": "done", "bytes_done": state.bytes_total}))


def _first_trained(example: LabelledExample) -> int:
    places = np.flatnonzero(example.labels[1:] >= 0)
    return int(places[0]) + 1 if places.size else -1


def _end_with_parent() -> None:
    """The other end of standard input is closed when the parent ends, however it does."""
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
