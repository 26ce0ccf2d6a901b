"""Every error that a person may see. A message says what is wrong with which value; a hint says what to do.

Anything raised that is not a `TunerError` is a bug in tuner.

TunerError
├── RecipeError      the recipe is wrong; carries all problems at once
├── DataError        a data file, a row, a template or a label is unusable
│   └── LabelError   the audit of the labels refuses them
├── ModelError       the model cannot be found, read or supported
├── AdapterError     an adapter folder is unusable or does not fit the model
├── MachineError     disk, memory, GPU or permissions stand in the way
├── RunError         a run folder cannot be found, read or locked
└── TrainingError    training stopped itself: NaN, out of memory, a proof that failed
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tui_tuner.redaction import redacted

EXIT_BAD_INPUT = 2
EXIT_LABELS_REFUSED = 3
EXIT_TRAINING_STOPPED = 4
EXIT_BUG = 70
EXIT_INTERRUPTED = 130


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing that is not as it was; a line of the table below an error."""

    what: str
    """In words: "the chat template", "optimizer.learning_rate"."""
    before: str
    now: str


class TunerError(Exception):
    """What is wrong (`message`, one line) and what to do about it (`hint`, may be empty); without access tokens."""

    exit_code = EXIT_BAD_INPUT

    def __init__(self, message: str, hint: str = "", changes: Sequence[Change] = ()) -> None:
        self.message = redacted(message)
        self.hint = redacted(hint)
        self.changes = tuple(replace(one, before=redacted(one.before), now=redacted(one.now)) for one in changes)
        super().__init__(f"{self.message} {self.hint}".strip())


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing wrong with one field of a recipe."""

    path: str
    """Dotted path of the field, as it is written in TOML: "adapter.rank", "data.sources[0].path"."""
    message: str
    """What is wrong with the value, what is allowed, and a did-you-mean where one is near."""

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class RecipeError(TunerError):
    """All problems of a recipe together, so that they can be mended in one go."""

    def __init__(self, problems: Sequence[Problem], source: str = "recipe") -> None:
        self.problems = tuple(replace(one, message=redacted(one.message)) for one in problems)
        self.source = redacted(source)
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        super().__init__(f"{self.source} has {count}: " + "; ".join(str(problem) for problem in self.problems))


class DataError(TunerError):
    """A data file, a row, a template or a label cannot be used."""


class LabelError(DataError):
    """The audit of the labels refuses them: training would learn something else than was meant."""

    exit_code = EXIT_LABELS_REFUSED


class ModelError(TunerError):
    """The model cannot be found, read or supported."""


class AdapterError(TunerError):
    """An adapter folder cannot be used, or does not fit the model."""


class MachineError(TunerError):
    """Disk, memory, GPU or permissions stand in the way."""


class RunError(TunerError):
    """A run folder cannot be found, read or locked."""


class TrainingError(TunerError):
    """Training stopped itself; what was saved before stays valid."""

    exit_code = EXIT_TRAINING_STOPPED
