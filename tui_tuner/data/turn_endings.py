"""How many characters behind an assistant's reply close its turn: up to and including the end-of-turn token."""

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # numpy and tokenizers are not for the processes that render templates
    from tui_tuner.data.tokenizer import TextTokenizer


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnEndings:
    """The tokens of one tokenizer that may close a turn."""

    unsplit: re.Pattern[str]
    """Any token that is never split: what stands right behind a reply and is one of these closes the turn."""
    stops: frozenset[str]
    """Tokens at which generation ends."""
    head: str = ""
    """The token with which one template opens an answer, where it has one: it closes nothing."""

    def under(self, prompted: str, after_answer: str) -> "TurnEndings":
        """The endings under a template that adds `prompted` to prompt for an answer, and `after_answer` behind one."""
        token, closing = self.unsplit.match(prompted.lstrip()), self.unsplit.match(after_answer.lstrip())
        is_closing = token is not None and (token[0] in self.stops or (closing is not None and closing[0] == token[0]))
        return replace(self, head="" if token is None or is_closing else token[0])

    def after_reply(self, after: str, after_as_last: str) -> int:
        """Length of the ending in `after`, the text that follows a reply.

        `after_as_last` is what follows when the conversation ends with this reply. What both share belongs to the
        turn, what only `after` has may be the head of the next turn.
        """
        shared = self._shared(after, after_as_last)
        if self.head:
            shared = shared.partition(self.head)[0]
        token = self.unsplit.search(shared)
        if token is not None:
            return self._first_stop(token, shared)
        return self._only_here(after, after_as_last) or len(shared.rstrip())

    def after_calls(self, after: str, after_as_last: str) -> int:
        """Like `after_reply`, where tool calls, which have special tokens of their own, stand before the ending."""
        shared = self._shared(after, after_as_last)
        run: list[re.Match[str]] = []
        rest = shared.rstrip()
        for token in reversed(list(self.unsplit.finditer(shared))):
            if token.end() != len(rest):
                break
            run = [] if token[0] == self.head else [*run, token]
            rest = shared[: token.start()].rstrip()
        if not run:
            return len(rest)
        # Some templates put an end-of-text token behind the end-of-turn token, which is the one that is generated.
        return next((token.end() for token in reversed(run) if token[0] in self.stops), run[0].end())

    def first_stop(self, after: str, after_as_last: str, call: object) -> int:
        """Length of the ending behind a place inside a call: up to the first stop token that is not the call's own."""
        shared, own = self._shared(after, after_as_last), repr(call)
        stops = [token for token in self.unsplit.finditer(shared) if token[0] in self.stops and token[0] not in own]
        return stops[0].end() if stops else self.after_calls(after, after_as_last)

    def other_tail(self, tail: str, followed: str) -> str:
        """What to compare the `tail` of a last reply with: what `followed` it when a question came behind.

        The tail itself where they have nothing in common: some turns are closed only where they come last.
        """
        return followed if self._shared(tail, followed).strip() else tail

    def without_stop(self, text: str) -> str:
        """The text without the stop token at its end."""
        return next((text.removesuffix(stop) for stop in self.stops if text.endswith(stop)), text)

    def _first_stop(self, token: re.Match[str], text: str) -> int:
        """End of the first stop token among those that follow each other at once; of the first token without one.

        Cohere closes the reply and then the turn, each with a token of its own.
        """
        following: re.Match[str] | None = token
        while following is not None:
            if following[0] in self.stops:
                return following.end()
            following = self.unsplit.match(text, following.end())
        return token.end()

    def _only_here(self, after: str, after_as_last: str) -> int:
        """A token right behind the reply that is not there, or is another one, when the reply comes last.

        It closes the turn if generation stops at it (GLM ends a turn with the head of the next one), or if it is
        followed at once by the head of the next turn (gpt-oss closes its last turn with a token of its own).
        """
        token = self.unsplit.match(after, len(after) - len(after.lstrip()))
        if token is None or token[0] == self.head:
            return 0
        is_replaced = self.unsplit.match(after_as_last.lstrip()) and self.unsplit.match(after, token.end())
        return token.end() if token[0] in self.stops or is_replaced else 0

    def _shared(self, after: str, after_as_last: str) -> str:
        """What both begin with; where they part inside a word or token, only up to the last border before."""
        shared = shared_prefix(after, after_as_last)
        if shared in (after, after_as_last):
            return shared
        borders = [shared.rfind(end) + 1 for end in " \n\t>]"]
        borders += [token.end() for token in self.unsplit.finditer(after) if token.end() <= len(shared)]
        return shared[: max(borders)]


def turn_endings(tokenizer: "TextTokenizer") -> TurnEndings:
    """The endings that a tokenizer knows."""
    stops = {token for token, number in tokenizer.added_tokens.items() if number in tokenizer.stop_ids}
    stops |= {token for token, number in tokenizer.special_tokens.items() if number in tokenizer.stop_ids}
    tokens = sorted({*tokenizer.added_tokens, *tokenizer.special_tokens}, key=len, reverse=True)
    # Runs of spaces and line ends are added tokens too in some vocabularies; they close nothing.
    choices = "|".join(re.escape(token) for token in tokens if token.strip())
    return TurnEndings(unsplit=re.compile(choices or r"(?!)"), stops=frozenset(stops))


def shared_prefix(one: str, other: str) -> str:
    """The longest text that both begin with."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return one[:low]
