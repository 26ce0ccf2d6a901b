"""What the station keeps between sittings: how answers are sampled, the system prompt, and every vote."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from tui_tuner.errors import MachineError
from tui_tuner.hosting.chat.messages import SamplingSettings

SETTINGS_NAME = "chat.json"
VOTES_NAME = "votes.jsonl"


class ChatSettings(BaseModel):
    model_config = ConfigDict(frozen=True)

    sampling: SamplingSettings = SamplingSettings()
    system: str = ""


class KeptVote(BaseModel):
    """One blind comparison, whole, so that it can be counted anew by anybody."""

    model_config = ConfigDict(frozen=True)

    time: float
    source: str
    vote: Literal["base", "tuned", "tie"]
    question: str
    base: str
    tuned: str
    system: str
    sampling: SamplingSettings


class Tally(BaseModel):
    """How often each side was preferred."""

    model_config = ConfigDict(frozen=True)

    tuned: int = 0
    base: int = 0
    tie: int = 0

    def with_vote(self, vote: Literal["base", "tuned", "tie"]) -> "Tally":
        return self.model_copy(update={vote: {"base": self.base, "tuned": self.tuned, "tie": self.tie}[vote] + 1})


def load_settings(state_folder: Path) -> ChatSettings:
    """The settings that were kept; the usual ones where there are none, or where the file is damaged."""
    try:
        return ChatSettings.model_validate_json((state_folder / SETTINGS_NAME).read_text(encoding="utf-8"))
    except (OSError, ValidationError):
        return ChatSettings()


def save_settings(settings: ChatSettings, state_folder: Path) -> None:
    """Raises MachineError where the folder cannot be written."""
    _write(state_folder / SETTINGS_NAME, settings.model_dump_json(indent=1), mode="w")


def keep_vote(vote: KeptVote, state_folder: Path) -> None:
    """Raises MachineError where the folder cannot be written."""
    _write(state_folder / VOTES_NAME, vote.model_dump_json() + "\n", mode="a")


def count_votes(source: str, state_folder: Path) -> Tally:
    """The votes for one source; lines that cannot be read count for nobody."""
    tally = Tally()
    try:
        lines = (state_folder / VOTES_NAME).read_text(encoding="utf-8").splitlines()
    except OSError:
        return tally
    for line in lines:
        try:
            vote = KeptVote.model_validate_json(line)
        except ValidationError:
            continue
        if vote.source == source:
            tally = tally.with_vote(vote.vote)
    return tally


def _write(path: Path, text: str, mode: Literal["w", "a"]) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        with path.open(mode, encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise MachineError(f"{path} cannot be written: {error.strerror}.", "Make room, or mend it.") from error
