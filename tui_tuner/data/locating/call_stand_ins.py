"""Tool calls with a stand-in inside: in an argument, or for the name."""

import json
from collections.abc import Iterator, Mapping, Sequence


def calls_with(
    calls: Sequence[Mapping[str, object]], stand_in: str
) -> Iterator[tuple[Mapping[str, object], str | None]]:
    """Each call with a stand-in for its last argument that is a text, and with one for its name.

    The second is what the stand-in stands for where results of the call may repeat it, which is the name.
    """
    for call in calls:
        function = call.get("function")
        if not isinstance(function, Mapping):
            continue
        arguments = _with_text(function.get("arguments"), stand_in)
        if arguments is not None:
            yield {**call, "function": {**function, "arguments": arguments}}, None
        yield {**call, "function": {**function, "name": stand_in}}, str(function.get("name"))


def _with_text(arguments: object, stand_in: str) -> object:
    """In the form in which the arguments came; None where none of them is a text."""
    parsed = arguments
    if isinstance(arguments, str):
        try:
            parsed = json.loads(arguments)
        except (ValueError, RecursionError):
            return None
    if not isinstance(parsed, Mapping):
        return None
    texts = [key for key, value in parsed.items() if isinstance(value, str)]
    if not texts:
        return None
    replaced = {**parsed, texts[-1]: stand_in}
    return json.dumps(replaced, ensure_ascii=False) if isinstance(arguments, str) else replaced
