"""`tuner chat`: talk to a run's adapter, to any adapter, or to a model."""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from tui_tuner.cli.options import DEFAULT_RUNS_FOLDER, AsJson, RunsFolder
from tui_tuner.safe_text import visible

if TYPE_CHECKING:
    from tui_tuner.engine.chat import Chat

NAME = "chat"
HELP_LINE = "/base and /tuned switch the adapter off and on, /new forgets, /quit or Ctrl-D ends, Ctrl-C ends an answer."
Source = Annotated[
    str, typer.Argument(metavar="RUN|ADAPTER|MODEL", help="A run, an adapter folder, or a model.", show_default=False)
]
Prompts = Annotated[
    list[str] | None,
    typer.Option("--prompt", metavar="TEXT", help="Answer this and exit. May be repeated.", show_default=False),
]


def command(
    source: Source,
    prompts: Prompts = None,
    base: Annotated[bool, typer.Option("--base", help="Answer with the base model, without the adapter.")] = False,
    max_tokens: Annotated[int, typer.Option("--max-tokens", metavar="N", min=1, help="Longest answer.")] = 256,
    temperature: Annotated[float, typer.Option("--temperature", metavar="T", min=0.0, help="0 is greedy.")] = 0.0,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Of the random choices.")] = 0,
    device: Annotated[str, typer.Option("--device", metavar="DEVICE", help="auto, cpu or cuda.")] = "auto",
    folder: RunsFolder = DEFAULT_RUNS_FOLDER,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Talk to a run, an adapter or a model.

    With --prompt, or text on standard input, it answers and exits.
    """
    from tui_tuner.engine.chat import open_chat

    chat = open_chat(source, str(folder), device)
    talk = Talk(chat, Sampling(max_tokens, temperature, seed), is_tuned=chat.has_adapter and not base)
    asked = list(prompts or ())
    if not asked and not sys.stdin.isatty():
        asked = [sys.stdin.read().strip()]
    if not asked:
        talk.converse()
    for prompt in asked:
        talk.answer_once(prompt, as_json=as_json)


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are chosen."""

    max_tokens: int
    temperature: float
    seed: int


class Talk:
    """A conversation on standard input and output."""

    def __init__(self, chat: "Chat", sampling: Sampling, *, is_tuned: bool) -> None:
        self._chat = chat
        self._sampling = sampling
        self._is_tuned = is_tuned
        self._messages: list[dict[str, str]] = []

    def answer_once(self, prompt: str, *, as_json: bool) -> None:
        """Answer one prompt that belongs to no conversation."""
        from tui_tuner.cli.terminal import print_line

        pieces = self._pieces([{"role": "user", "content": prompt}])
        if as_json:
            reply = {"prompt": prompt, "reply": "".join(pieces), "tuned": self._is_tuned}
            print_line(json.dumps(reply, ensure_ascii=False))
        else:
            _stream(pieces)

    def converse(self) -> None:
        """Read turns until the input ends."""
        from tui_tuner.cli.terminal import show
        from tui_tuner.cli.views.blocks import outside

        show(outside(self._chat.description, "strong"), outside(HELP_LINE, "quiet"))
        while (turn := _read_turn()) is not None:
            if turn.startswith("/"):
                if not self._obey(turn):
                    return
            elif turn:
                self._take_turn(turn)

    def _take_turn(self, turn: str) -> None:
        self._messages.append({"role": "user", "content": turn})
        sys.stdout.write("tuned › " if self._is_tuned else "base › ")
        reply = _stream(self._pieces(self._messages))
        self._messages.append({"role": "assistant", "content": reply})

    def _obey(self, turn: str) -> bool:
        """Carry out a line that starts with a slash; false where it ends the conversation."""
        match turn.split()[0]:
            case "/quit" | "/exit":
                return False
            case "/new":
                self._messages.clear()
            case "/base":
                self._is_tuned = False
            case "/tuned" if self._chat.has_adapter:
                self._is_tuned = True
            case "/tuned":
                sys.stdout.write("There is no adapter here.\n")
            case _:
                sys.stdout.write(HELP_LINE + "\n")
        return True

    def _pieces(self, messages: list[dict[str, str]]) -> Iterator[str]:
        how = self._sampling
        return self._chat.reply(
            messages, tuned=self._is_tuned, max_tokens=how.max_tokens, temperature=how.temperature, seed=how.seed
        )


def _read_turn() -> str | None:
    try:
        return input("you › ").strip()
    except (EOFError, KeyboardInterrupt):
        sys.stdout.write("\n")
        return None


def _stream(pieces: Iterator[str]) -> str:
    """Print an answer as it grows; Ctrl-C ends it early. Returns what was said."""
    said = []
    try:
        for piece in pieces:
            said.append(piece)
            sys.stdout.write(visible(piece))
            sys.stdout.flush()
    except KeyboardInterrupt:
        sys.stdout.write(" …")
    sys.stdout.write("\n")
    return "".join(said)
