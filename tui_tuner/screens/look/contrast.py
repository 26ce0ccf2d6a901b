"""Makes the colours of any theme readable: text at least 4.5 to 1 against every ground it stands on (WCAG 2.2, AA).

Themes that leave the colours to the terminal are left alone: nobody knows what they look like.
"""

from collections.abc import Mapping, Sequence

from textual.color import Color

LEAST = 4.5
GROUNDS = ("background", "surface", "panel", "selected")
INKS = ("foreground", "muted", "train", "you", "special", "success", "warning", "error")
STEPS = 20


def readable(variables: Mapping[str, str]) -> dict[str, str]:
    """Those of the theme variables that must be another colour, by name."""
    page = Color.parse(variables["background"])
    if page.ansi is not None:
        return {}
    text = Color.parse(variables["foreground"])
    seen = {name: _opaque(value, page, text) for name, value in variables.items() if name in _NEEDED}
    grounds = [seen[name] for name in GROUNDS]
    seen |= {name: _legible(seen[name], grounds) for name in INKS}
    seen["you-ink"] = _legible(seen["you-ink"], [seen["you"]])
    for name in ("trained-ink", "trained-end"):
        seen[name] = _legible(seen[name], [seen["trained-ground"]])
    return {name: colour.hex for name, colour in seen.items()}


def contrast(one: Color, other: Color) -> float:
    """From 1 to 21, as WCAG 2.2 defines it."""
    darker, lighter = sorted(map(_luminance, (one, other)))
    return (lighter + 0.05) / (darker + 0.05)


_NEEDED = {*GROUNDS, *INKS, "you-ink", "trained-ink", "trained-end", "trained-ground"}


def _legible(ink: Color, grounds: Sequence[Color]) -> Color:
    """The ink, mixed with black or white no more than it takes."""
    ends = (Color(0, 0, 0), Color(255, 255, 255))
    end = max(ends, key=lambda one: min(contrast(one, ground) for ground in grounds))
    for step in range(STEPS):
        mixed = ink.blend(end, step / STEPS, 1.0)
        if min(contrast(mixed, ground) for ground in grounds) >= LEAST:
            return mixed
    return end


def _opaque(value: str, page: Color, text: Color) -> Color:
    """A colour, or "auto 60%" for faded text, as it looks on the page."""
    name, _, share = value.partition(" ")
    colour = text if name == "auto" else Color.parse(name)
    strength = colour.a * (float(share.strip(" %")) / 100 if share else 1.0)
    return page.blend(colour, strength, 1.0)


def _luminance(colour: Color) -> float:
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in colour.normalized]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
