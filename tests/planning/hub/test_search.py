from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest

from tui_tuner.errors import ModelError
from tui_tuner.planning.hub.search import search_hub


def test_what_the_hub_lists_becomes_models_with_licence_and_gate() -> None:
    def list_models(**settings: Any) -> Iterable[Any]:
        assert settings["search"] == "llama"
        return [SimpleNamespace(id="meta/Llama", downloads=7, gated="manual", tags=["license:llama3", "en"])]

    (found,) = search_hub("llama", list_models)
    assert (found.repo_id, found.downloads, found.is_gated, found.licence) == ("meta/Llama", 7, True, "llama3")


def test_a_hub_that_cannot_be_reached_is_an_error_with_a_way_out() -> None:
    def list_models(**_settings: Any) -> Iterable[Any]:
        raise ConnectionError("no route")

    with pytest.raises(ModelError, match="cannot be reached") as caught:
        search_hub("llama", list_models)
    assert "this machine" in caught.value.hint
