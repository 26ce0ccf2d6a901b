"""What a person set once and keeps: theme and glyphs. A small TOML file that may be edited by hand."""

import tomllib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from tui_tuner.errors import MachineError, TunerError
from tui_tuner.screens.look.glyphs import GLYPH_SETS, GlyphSet
from tui_tuner.screens.look.themes import DEFAULT_THEME

SETTINGS_NAME = "settings.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting, at its default unless the file says otherwise."""

    theme: str = DEFAULT_THEME
    glyphs: GlyphSet | Literal["auto"] = "auto"
    """"auto": what the terminal can show."""


def load_settings(path: Path) -> tuple[Settings, TunerError | None]:
    """The settings, and what was wrong with the file: a setting that cannot be used stays at its default."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Settings(), None
    except (OSError, ValueError) as error:
        return Settings(), MachineError(f"{path} cannot be read: {error}.", "Mend it or delete it.")
    settings, wrong = Settings(), []
    for name, value in values.items():
        if name == "theme" and isinstance(value, str):
            settings = replace(settings, theme=value)
        elif name == "glyphs" and value in ("auto", *GLYPH_SETS):
            settings = replace(settings, glyphs=value)
        else:
            wrong.append(f"{name} = {value!r}")
    problem = MachineError(f"{path}: {', '.join(wrong)} is not a setting.", "Mend it or delete it.") if wrong else None
    return settings, problem


def save_settings(settings: Settings, path: Path) -> None:
    """Replace the file in one move.

    Raises:
        MachineError: the folder cannot be written.
    """
    import tomlkit

    fresh = path.with_name(f"{path.name}.new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh.write_text(tomlkit.dumps(asdict(settings)), encoding="utf-8")
        fresh.replace(path)
    except OSError as error:
        raise MachineError(f"{path} cannot be written: {error.strerror}.", "The setting lasts for now.") from error
