"""Small JSON files that came with a model: read with a bound on size, never trusted to be well-formed."""

import json
from pathlib import Path
from typing import Any

from tui_tuner.errors import ModelError

MAX_JSON_BYTES = 64_000_000


def read_json_object(path: Path, what: str) -> dict[str, Any]:
    """The object in a JSON file. `what` names it in messages: "config.json".

    Raises:
        ModelError: the file is missing, too large, not UTF-8, not JSON or not an object.
    """
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise ModelError(f"{path} is larger than {MAX_JSON_BYTES:,} bytes; this is no {what}.")
        values = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise ModelError(f"{path.parent} has no {path.name}.", "Name the folder that holds the model.") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not valid JSON: {error}.", "Download the file again.") from error
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}.") from error
    if not isinstance(values, dict):
        raise ModelError(f"{path} holds {type(values).__name__}, expected an object.", "Download the file again.")
    return values
