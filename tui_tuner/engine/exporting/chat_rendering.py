"""Conversations as the model saw them in training, rendered with its own chat template."""

from tui_tuner.data.rendering.pool import RenderPool
from tui_tuner.data.rendering.template_choice import choose_template
from tui_tuner.data.rows import Message
from tui_tuner.data.tokenizer import TextTokenizer

Turns = tuple[tuple[str, str], ...]
"""(role, content) of each message."""


class ChatRenderer:
    """Renders prompts. Its process ends with it."""

    def __init__(self, tokenizer: TextTokenizer) -> None:
        self._tokenizer = tokenizer
        self._pool = RenderPool()
        self._pool.load(choose_template("auto", tokenizer).program)

    def ids(self, turns: Turns) -> list[int]:
        """Raises DataError where the template refuses the conversation."""
        tokens: list[int] = self._tokenizer.encode(self.text(turns)).ids.tolist()
        return tokens

    def text(self, turns: Turns) -> str:
        """Up to where the model answers. Raises DataError where the template refuses the conversation."""
        messages = [Message(role=role, content=content) for role, content in turns]
        return self._pool.render(messages, add_generation_prompt=True)

    def starts_with_bos(self) -> bool:
        """Whether prompts begin with the BOS token: what a server must add, or must not."""
        bos = self._tokenizer.bos_id
        return bos is not None and self.ids((("user", "hello"),))[:1] == [bos]
