"""What the Chat station says of itself: titles, the readout, and the words for an empty or busy screen. Pure."""

from dataclasses import dataclass

from textual.content import Content

from tui_tuner.hosting.chat.messages import SIDES, ChatReady, SamplingSettings
from tui_tuner.screens.chat.answer_lines import HIDDEN_NAMES
from tui_tuner.screens.chat.kept import Tally
from tui_tuner.screens.chat.talk import Conversation, Place
from tui_tuner.screens.look.glyphs import Glyphs
from tui_tuner.screens.shown import shown, shown_line
from tui_tuner.screens.sources.results import Result
from tui_tuner.starter import model_title
from tui_tuner.units import duration


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadState:
    """The model: which, since when it is being loaded, and what it turned out to be."""

    result: Result | None = None
    seconds: float = 0.0
    ready: ChatReady | None = None
    is_loading: bool = False
    suggestion: Result | None = None
    """The newest result, while none was chosen."""
    is_listed: bool = False
    """Whether the results were read."""


def nothing_words(load: LoadState) -> Content:
    """What stands in the middle while there is no model to talk to."""
    if load.is_loading and load.result is not None:
        return Content("\n").join(
            (
                Content("Loading ") + shown_line(load.result.title) + Content(f"…  {duration(load.seconds)}"),
                Content(""),
                shown(f"{load.result.path}", "$muted"),
                Content.styled("Torch and the model start in a process of their own; the keys stay quick.", "$muted"),
            )
        )
    lines = [Content.styled("Base and tuned, side by side", "bold"), Content("")]
    if load.suggestion is not None:
        lines.append(Content.styled("⏎   ", "$you") + Content("talks to ") + shown_line(load.suggestion.title, "bold"))
    elif load.is_listed:
        lines.append(Content("No run has an adapter yet: t on the Runs station (1) makes one in a minute."))
    else:
        lines.append(Content.styled("reading…", "$muted"))
    lines.append(Content.styled("F4  ", "$you") + Content("chooses another run, a checkpoint, or any adapter folder"))
    return Content("\n").join(lines)


def titles(conversation: Conversation, load: LoadState, *, is_blind: bool) -> dict[Place, str]:
    """What each side is, unless that is to be found out."""
    last = conversation.last
    if is_blind and (last is None or last.is_hidden):
        return {place: f"{name} · ?" for place, name in HIDDEN_NAMES.items()}
    base_model = load.ready.base_model if load.ready else ""
    names = {
        "base": f"{model_title(base_model)} · base",
        "tuned": f"{load.result.title if load.result else ''} · tuned",
    }
    places: tuple[Place, ...] = ("left", "right")
    sides = {place: last.side_at(place) if last else SIDES[number] for number, place in enumerate(places)}
    return {place: names[side] for place, side in sides.items()}


def readout(
    conversation: Conversation, sampling: SamplingSettings, tally: Tally, glyphs: Glyphs, *, is_blind: bool
) -> Content:
    """Speeds, settings and votes."""
    last = conversation.last
    parts = ["blind"] if is_blind else []
    if last is not None and not last.is_hidden:
        for side in SIDES:
            answer = last.answer(side)
            if answer is not None and answer.tokens_per_second:
                parts.append(f"{side} {answer.tokens_per_second:,.0f} tok/s")
    if is_blind or tally != Tally():
        parts.append(f"votes tuned {tally.tuned} : {tally.base} base" + (f", {tally.tie} even" if tally.tie else ""))
    parts += [f"temp {sampling.temperature:g}", f"top-p {sampling.top_p:g}"]
    parts += [f"max {sampling.max_tokens:,}", f"seed {last.seed if last else sampling.seed}"]
    return shown_line(f"  {glyphs.dot}  ".join(parts))


def vote_words(conversation: Conversation) -> str:
    """What the person is asked, or told, under a blind exchange."""
    last = conversation.last
    if last is None or not last.is_blind:
        return ""
    if last.vote is not None:
        left = last.side_at("left")
        said = "Even." if last.vote == "tie" else f"You preferred {last.vote}."
        return f"{said} A was {left}, B was {'base' if left == 'tuned' else 'tuned'}."
    return "Which is better?  F5 A   F6 B   F7 even" if last.can_be_voted else ""
