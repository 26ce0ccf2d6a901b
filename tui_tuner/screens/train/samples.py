"""The same prompts, answered again at each look: the base's answer first, then how the model's changes."""

from rich.text import Text

from tui_tuner.events import RunState, SampleGenerated
from tui_tuner.safe_text import one_line, visible
from tui_tuner.screens.look.glyphs import Glyphs
from tui_tuner.screens.look.inks import BOLD, Inks

MAX_SHOWN = 6


def sample_lines(state: RunState, index: int, width: int, height: int, glyphs: Glyphs, inks: Inks) -> list[Text]:
    """The prompt with number `index` (modulo), the base's answer, and the latest answers, newest last."""
    numbers = sorted({one.index for one in state.samples})
    if not numbers:
        return [Text("Answers appear at the first look at the held-out rows.", style=inks.muted)]
    of_prompt = [one for one in state.samples if one.index == numbers[index % len(numbers)]]
    base = [one for one in of_prompt if one.step == 0][:1]
    later = [one for one in of_prompt if one.step > 0]
    room = max(1, height - 1 - len(base) - (1 if of_prompt[0].expected else 0))
    lines = [Text.assemble(("prompt   ", inks.muted), (one_line(_question(of_prompt[0].prompt), width), inks.plain))]
    if of_prompt[0].expected:
        lines.append(Text.assemble(("wanted   ", inks.muted), (one_line(of_prompt[0].expected, width), inks.plain)))
    lines += [_answer("base", one, width, glyphs, inks) for one in base]
    lines += [_answer(f"{one.step:,}", one, width, glyphs, inks) for one in later[-room:]]
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return lines


def _answer(who: str, sample: SampleGenerated, width: int, glyphs: Glyphs, inks: Inks) -> Text:
    stopped = glyphs.done if sample.stopped else glyphs.cut
    is_right = sample.expected is not None and sample.text.strip() == sample.expected.strip()
    ink = inks.success if is_right else inks.muted if who == "base" else inks.you
    return Text.assemble(
        (f"{who:<7}", inks.muted),
        (f"{stopped} ", inks.success if sample.stopped else inks.warning),
        (one_line(sample.text or "(nothing)", width), ink + BOLD if is_right else ink),
        no_wrap=True,
    )


def _question(prompt: str) -> str:
    """The end of a long prompt says more than its start."""
    text = visible(prompt).strip()
    return text if len(text) <= 300 else "…" + text[-300:]
