"""Looks at paths that a person typed: one that is too long, forbidden or nobody's home is not there, and no failure."""

from pathlib import Path


def path_of(text: str) -> Path:
    """The path, from the home folder where it begins with "~"; of a user who does not exist, as it is typed."""
    try:
        return Path(text.strip()).expanduser()
    except RuntimeError:
        return Path(text.strip())


def is_there(path: Path) -> bool:
    """Whether there is anything, as far as this user may see."""
    try:
        return path.exists()
    except OSError:
        return False


def is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False
