"""What the card of a model (README.md) says in its front matter. Only the lines that are needed are read."""

from pathlib import Path

CARD_NAME = "README.md"
MAX_FRONT_MATTER = 64_000
FENCE = "---"


def read_licence(folder: Path) -> str:
    """The licence that a model's card names, such as "apache-2.0"; empty where there is no card or it names none."""
    fields = _front_matter(folder / CARD_NAME)
    licence = fields.get("license", "")
    return fields.get("license_name", licence) if licence == "other" else licence


def _front_matter(card: Path) -> dict[str, str]:
    """The top-level texts between the first two fences."""
    try:
        with card.open(encoding="utf-8", errors="replace") as file:
            lines = file.read(MAX_FRONT_MATTER).splitlines()
    except OSError:  # a model without a card is no failure
        return {}
    if not lines or lines[0].strip() != FENCE:
        return {}
    fields: dict[str, str] = {}
    for line in lines[1:]:
        if line.strip() == FENCE:
            return fields
        name, colon, value = line.partition(":")
        if colon and value.strip() and not name.startswith((" ", "-", "#")):
            fields[name.strip()] = value.strip().strip("\"'")
    return {}
