"""What checks of text need to know of a tokenizer, in a form that travels to processes that have no tokenizer."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # numpy and tokenizers are not for the processes that render templates
    from tui_tuner.data.tokenizer import TextTokenizer


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TokenFacts:
    """Compared by identity: make it once for a tokenizer."""

    unsplit: re.Pattern[str]
    """Tokens that are never split."""
    control: re.Pattern[str]
    """Those of them that are control tokens."""
    stops: frozenset[str]
    """Tokens at which generation ends."""


def token_facts(tokenizer: "TextTokenizer") -> TokenFacts:
    """The facts of one tokenizer."""
    tokens = {**tokenizer.added_tokens, **tokenizer.special_tokens}
    return TokenFacts(
        unsplit=_any_of(tokens),
        control=_any_of(tokenizer.special_tokens),
        stops=frozenset(token for token, number in tokens.items() if number in tokenizer.stop_ids),
    )


def _any_of(tokens: Iterable[str]) -> re.Pattern[str]:
    """The longest token wins. Runs of spaces are tokens too in some vocabularies, and mark nothing."""
    names = sorted((token for token in tokens if token.strip()), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, names)) or r"(?!)")
