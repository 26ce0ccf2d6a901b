"""What the Chat station holds: the model's process, the conversation, the settings and the votes. Draws nothing."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tui_tuner.hosting.chat.messages import ChatFailed, ChatReady, StopAnswers
from tui_tuner.hosting.chat.process import ChatProcess
from tui_tuner.screens.chat.kept import (
    ChatSettings,
    KeptVote,
    Tally,
    count_votes,
    keep_vote,
    load_settings,
    save_settings,
)
from tui_tuner.screens.chat.status import LoadState
from tui_tuner.screens.chat.talk import Answer, Conversation, Exchange, Vote, ask_of
from tui_tuner.screens.sources.results import Result


class ChatDesk:
    """One model at a time, and the conversation with it."""

    def __init__(self, state_folder: Path, clock: Callable[[], float]) -> None:
        self._folder, self._clock = state_folder, clock
        self._loading_since = 0.0
        self._number = 0
        self._coin = random.SystemRandom()
        self.talk = Conversation()
        self.load = LoadState()
        self.settings: ChatSettings = load_settings(state_folder)
        self.tally = Tally()
        self.is_blind = False
        self.process: ChatProcess | None = None

    @property
    def has_sides(self) -> bool:
        """Whether there are two sides, as far as is known."""
        return self.load.ready is None or self.load.ready.has_adapter

    @property
    def can_ask(self) -> bool:
        return self.load.ready is not None and self.process is not None and not self.talk.is_answering

    @property
    def can_reroll(self) -> bool:
        return self.can_ask and self.talk.last is not None

    def begin(self, result: Result) -> ChatProcess | None:
        """Forget the model that was loaded, for this one; returns its process, which is to be closed."""
        old, self.process = self.process, None
        self.talk = Conversation()
        self.tally = count_votes(str(result.path), self._folder)
        self._loading_since = self._clock()
        self.load = replace(self.load, result=result, ready=None, is_loading=True, seconds=0.0)
        return old

    def unload(self) -> ChatProcess | None:
        """Forget the model; returns its process, which is to be closed."""
        old, self.process = self.process, None
        self.talk = Conversation()
        self.load = replace(self.load, ready=None, is_loading=False)
        return old

    def release(self) -> ChatProcess | None:
        """Give the model's memory to a run that begins: what was said stays; returns the process, to be closed."""
        old = self.process
        self.lost()
        self.load = replace(self.load, result=None)  # one that is still being started is not wanted any more
        return old

    def lost(self) -> None:
        """The model is gone by itself."""
        self.talk = self.talk.broken_off()
        self.process = None
        self.load = replace(self.load, ready=None, is_loading=False)

    def poll(self) -> tuple[bool, ChatFailed | None]:
        """Take what came; whether something is new to see, and why the model is gone if it is."""
        events = self.process.poll() if self.process is not None else []
        failed = None
        for event in events:
            if isinstance(event, ChatReady):
                self.load = replace(self.load, ready=event, is_loading=False)
            elif isinstance(event, ChatFailed):
                failed = event
                self.lost()
            else:
                self.talk = self.talk.after(event)
        if self.load.is_loading:
            self.load = replace(self.load, seconds=self._clock() - self._loading_since)
        return bool(events) or self.load.is_loading, failed

    def ask(self, question: str, seed: int | None = None) -> None:
        """Have a question answered; in blind mode it begins a conversation of its own, its sides shuffled."""
        assert self.load.ready is not None and self.process is not None
        is_blind = self.is_blind and self.load.ready.has_adapter
        if is_blind:
            self.talk = Conversation()
        self._number += 1
        exchange = Exchange(
            number=self._number,
            question=question,
            seed=self.settings.sampling.seed if seed is None else seed,
            base=Answer(),
            tuned=Answer() if self.load.ready.has_adapter else None,
            is_blind=is_blind,
            is_swapped=is_blind and self._coin.random() < 0.5,
        )
        self.talk = self.talk.asked(exchange)
        self.process.send(ask_of(self.talk, self.settings.sampling, self.settings.system))

    def reroll(self) -> None:
        """The last question again, from another seed; what was answered is forgotten."""
        last = self.talk.last
        assert last is not None
        self.talk = self.talk.without_last()
        self.ask(last.question, last.seed + 1)

    def stop(self) -> None:
        if self.process is not None and self.talk.is_answering:
            self.process.send(StopAnswers())

    def clear(self) -> None:
        self.stop()
        self.talk = Conversation()

    def vote(self, vote: Vote) -> None:
        """Count and keep the person's word.

        Raises:
            MachineError: it is counted, but cannot be kept.
        """
        last = self.talk.last
        assert last is not None and last.base is not None and last.tuned is not None
        self.tally = self.tally.with_vote(vote)
        self.talk = self.talk.voted(vote)
        kept = KeptVote(
            time=self._clock(),
            source=str(self.load.result.path) if self.load.result else "",
            vote=vote,
            question=last.question,
            base=last.base.text,
            tuned=last.tuned.text,
            system=self.settings.system,
            sampling=self.settings.sampling.model_copy(update={"seed": last.seed}),
        )
        keep_vote(kept, self._folder)

    def use(self, settings: ChatSettings) -> None:
        """Ask with these settings from now on. Raises MachineError where they cannot be kept."""
        self.settings = settings
        save_settings(settings, self._folder)
