"""Compares the screen with its picture in snapshots/: the text first, for text is what a person reads in a diff.

`pytest tests/screens --update-snapshots` writes them anew; what was refused lies in .snapshots-rejected/.
"""

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from textual.app import App

ROOT = Path(__file__).resolve().parents[2]
SNAPSHOTS = ROOT / "snapshots"
REJECTED = ROOT / ".snapshots-rejected"


@dataclass
class Golden:
    """Each picture is a .txt of what is read and a .svg of what is seen."""

    is_update: bool

    def check(self, app: App[None], name: str) -> None:
        """Fail where the screen differs from `snapshots/<name>`, or shows a folder that is another on each machine."""
        text, picture = screen_text(app), screen_picture(app)
        places = [place for place in (tempfile.gettempdir(), str(ROOT), str(Path.home())) if f"{place}/" in text]
        assert not places, f"{name} shows {places[0]}, which is elsewhere on another machine:\n{text}"
        if self.is_update:
            _write(SNAPSHOTS, name, text, picture)
            return
        expected = SNAPSHOTS / f"{name}.txt"
        assert expected.exists(), f"there is no snapshot {name}; run with --update-snapshots and look at it"
        if text == expected.read_text(encoding="utf-8") and picture == expected.with_suffix(".svg").read_text("utf-8"):
            return
        _write(REJECTED, name, text, picture)
        assert text == expected.read_text(encoding="utf-8"), f"{name} reads differently: see {REJECTED / name}.svg"
        raise AssertionError(f"{name} reads the same but looks different: see {REJECTED / name}.svg")


def screen_text(app: App[None]) -> str:
    """What stands on the screen, a line each."""
    strips = app.screen._compositor.render_strips()
    return "\n".join(strip.text.rstrip() for strip in strips) + "\n"


def screen_picture(app: App[None]) -> str:
    """The screen as SVG, without what changes from one export to the next and without fonts from elsewhere."""
    picture = app.export_screenshot(title="tuner", simplify=True)
    picture = re.sub(r"terminal-\d+", "terminal", picture)
    return re.sub(r"@font-face\s*\{.*?\}\s*", "", picture, flags=re.DOTALL)


def _write(root: Path, name: str, text: str, picture: str) -> None:
    path = root / f"{name}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.with_suffix(".svg").write_text(picture, encoding="utf-8")
