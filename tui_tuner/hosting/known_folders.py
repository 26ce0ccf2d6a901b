"""The runs folders that this person used, so that a login that starts elsewhere finds the runs."""

from pathlib import Path

KNOWN_NAME = "runs_folders.txt"
MAX_KNOWN = 50


def known_folders(state_folder: Path) -> tuple[Path, ...]:
    """Those that still exist, the one used last first; none where nothing was noted or can be read."""
    try:
        lines = (state_folder / KNOWN_NAME).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return ()
    return tuple(path for line in lines if line.startswith("/") and (path := Path(line)).is_dir())


def remember_folder(state_folder: Path, runs_folder: Path) -> bool:
    """Note a runs folder as the one used last; false where the state folder cannot be written, which stops no run."""
    folder = runs_folder.expanduser().resolve()
    others = [path for path in known_folders(state_folder) if path != folder]
    lines = [str(path) for path in (folder, *others)[:MAX_KNOWN] if "\n" not in str(path)]
    fresh = state_folder / f"{KNOWN_NAME}.new"
    try:
        state_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh.write_text("\n".join(lines) + "\n", encoding="utf-8")
        fresh.replace(state_folder / KNOWN_NAME)
    except OSError:
        return False
    return True
