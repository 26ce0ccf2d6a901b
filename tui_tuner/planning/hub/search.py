"""Looks for models on the hub by name. Only called where the network may be used, and never from a screen's thread."""

import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tui_tuner.errors import ModelError

MOST_FOUND = 20
GENERATES_TEXT = "text-generation"
CONNECT_SECONDS = 3.0
UNREACHABLE = "The hub cannot be reached from here."
STILL_POSSIBLE = "What is on this machine can still be chosen, and so can a folder."

ListModels = Callable[..., Iterable[Any]]
"""huggingface_hub's `list_models`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubModel:
    """One repository that a search found."""

    repo_id: str
    downloads: int
    is_gated: bool
    licence: str = ""


def search_hub(text: str, list_models: ListModels | None = None) -> tuple[HubModel, ...]:
    """Models that generate text, most downloaded first.

    Raises:
        ModelError: the hub cannot be reached, or did not answer rightly.
    """
    # HTTPError is that of its HTTP library, whichever that is.
    from huggingface_hub.errors import HfHubHTTPError, HTTPError  # type: ignore[attr-defined]

    if list_models is None and not is_hub_near():
        raise ModelError(UNREACHABLE, STILL_POSSIBLE)
    try:
        found = (list_models or _list_models)(
            search=text,
            pipeline_tag=GENERATES_TEXT,
            sort="downloads",
            limit=MOST_FOUND,
            expand=["downloads", "gated", "tags"],
        )
        return tuple(_hub_model(one) for one in found)
    except HfHubHTTPError as error:
        raise ModelError("The hub did not answer as it should.", "Try again later.") from error
    except (HTTPError, OSError) as error:
        raise ModelError(UNREACHABLE, STILL_POSSIBLE) from error


def is_hub_near() -> bool:
    """Whether the hub's host takes a connection now. huggingface_hub would try for half a minute to find that out."""
    from urllib.request import getproxies

    from huggingface_hub import constants

    if getproxies():
        return True  # the proxy finds the host, and we do not know what it can reach
    host = urlsplit(constants.ENDPOINT)
    try:
        with socket.create_connection((host.hostname or "", host.port or 443), timeout=CONNECT_SECONDS):
            return True
    except OSError:
        return False


def has_hub_token() -> bool:
    """Whether this user has logged in, which gated and private models need."""
    from huggingface_hub import get_token

    return get_token() is not None


def _list_models(**settings: Any) -> Iterable[Any]:
    from huggingface_hub import HfApi

    return HfApi().list_models(**settings)


def _hub_model(found: Any) -> HubModel:
    tags = found.tags or ()
    licence = next((str(tag).removeprefix("license:") for tag in tags if str(tag).startswith("license:")), "")
    return HubModel(
        repo_id=str(found.id), downloads=int(found.downloads or 0), is_gated=bool(found.gated), licence=licence
    )
