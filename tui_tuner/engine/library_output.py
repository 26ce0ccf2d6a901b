"""Where libraries' warnings, log records and progress bars go while a run has a log: there, and never on a terminal.

Everything is put back on leaving. What the caller itself logs or warns of in the meantime goes the same way.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import transformers

from tui_tuner.redaction import redacted

LIBRARIES = ("transformers", "huggingface_hub", "datasets")
"""Loggers with handlers of their own; those of other libraries reach the root logger."""


class _Line(logging.Formatter):
    """A record in one line, or in several with its traceback; without access tokens."""

    def format(self, record: logging.LogRecord) -> str:
        return redacted(super().format(record))


LINE = _Line("%(asctime)s %(levelname)s %(name)s: %(message)s")


@contextmanager
def library_output_to(log: Path | None) -> Iterator[None]:
    """Append what libraries say to a file; None drops it. Exceptions pass through untouched."""
    handler = logging.NullHandler() if log is None else logging.FileHandler(log, encoding="utf-8", delay=True)
    handler.setFormatter(LINE)
    had_bars = transformers.logging.is_progress_bar_enabled()
    own = {logging.getLogger(name): list(logging.getLogger(name).handlers) for name in LIBRARIES}
    logging.getLogger().addHandler(handler)
    for logger, handlers in own.items():
        _exchange(logger, handlers, [] if logger.propagate else [handler])
    logging.captureWarnings(True)
    transformers.logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.captureWarnings(False)
        for logger, handlers in own.items():
            _exchange(logger, list(logger.handlers), handlers)
        logging.getLogger().removeHandler(handler)
        handler.close()
        if had_bars:
            transformers.logging.enable_progress_bar()


def _exchange(logger: logging.Logger, old: list[logging.Handler], new: list[logging.Handler]) -> None:
    for handler in old:
        logger.removeHandler(handler)
    for handler in new:
        logger.addHandler(handler)
