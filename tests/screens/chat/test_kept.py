from pathlib import Path

from tui_tuner.hosting.chat.messages import SamplingSettings
from tui_tuner.screens.chat.kept import (
    ChatSettings,
    KeptVote,
    Tally,
    count_votes,
    keep_vote,
    load_settings,
    save_settings,
)


def vote(source: str, side: str) -> KeptVote:
    return KeptVote.model_validate(
        {
            "time": 0, "source": source, "vote": side, "question": "q", "base": "b", "tuned": "t", "system": "",
            "sampling": SamplingSettings(),
        }
    )  # fmt: skip


def test_settings_are_found_again(tmp_path: Path) -> None:
    settings = ChatSettings(sampling=SamplingSettings(temperature=0, seed=7), system="Be short.")
    save_settings(settings, tmp_path / "state")
    assert load_settings(tmp_path / "state") == settings
    assert (tmp_path / "state" / "chat.json").stat().st_mode & 0o077 == 0


def test_damaged_settings_are_the_usual_ones(tmp_path: Path) -> None:
    (tmp_path / "chat.json").write_text('{"sampling": {"temperature": -1}}')
    assert load_settings(tmp_path) == ChatSettings()


def test_votes_are_counted_for_their_own_adapter(tmp_path: Path) -> None:
    for source, side in (("one", "tuned"), ("one", "tuned"), ("one", "tie"), ("two", "base")):
        keep_vote(vote(source, side), tmp_path)
    (tmp_path / "votes.jsonl").open("a").write("half a li")
    assert count_votes("one", tmp_path) == Tally(tuned=2, tie=1)
    assert count_votes("two", tmp_path) == Tally(base=1)
