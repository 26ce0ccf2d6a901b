from pathlib import Path
from typing import Any

from tests.screens.hollow_models import QWEN3_8B, hollow_hub, hollow_model
from tests.screens.inks import INKS
from tui_tuner.errors import ModelError
from tui_tuner.plan import NameDecision
from tui_tuner.planning.hub.search import HubModel
from tui_tuner.planning.local_models import local_models
from tui_tuner.screens.look.glyphs import BRAILLE
from tui_tuner.screens.model.catalogue import Entry
from tui_tuner.screens.model.details import View, about_text, short_text

GATED = Entry(source="a/b", name="a/b", hub=HubModel(repo_id="a/b", downloads=1200, is_gated=True))


def _view(entry: Entry, **changes: Any) -> View:
    known: dict[str, Any] = {
        "entry": entry,
        "base": entry.local.base if entry.local is not None else None,
        "name": None,
        "failure": None,
        "is_mapping_off": False,
        "adapter": "",
        "has_token": True,
        "glyphs": BRAILLE,
        "inks": INKS,
    }
    return View(**(known | changes))


def _words(text: str) -> str:
    return " ".join(text.split())


def _local(folder: Path) -> Entry:
    (model, *_) = local_models(folder / "none", [folder])
    return Entry(source=model.source, name=model.name, local=model)


def test_a_gated_model_says_both_steps_where_there_is_no_token() -> None:
    without = _words(about_text(_view(GATED, has_token=False)).plain)
    assert "accept its terms on its hub page, then run `hf auth login` here" in without
    assert "hf auth login" not in about_text(_view(GATED)).plain


def test_a_licence_that_is_not_named_is_a_warning(tmp_path: Path) -> None:
    text = _words(about_text(_view(_local(hollow_model(tmp_path / "m", QWEN3_8B)))).plain)
    assert "licence ! none named" in text


def test_a_folder_without_weights_is_not_said_to_fetch_them(tmp_path: Path) -> None:
    folder = hollow_model(tmp_path / "m", QWEN3_8B)
    for file in folder.glob("*.safetensors*"):
        file.unlink()
    about, short = (one(_view(_local(folder))).plain for one in (about_text, short_text))
    assert "weights ! none in this folder: put its .safetensors files there" in _words(about)
    assert "no weights" in short
    assert "fetch" not in about + short


def test_a_failure_comes_first_with_what_to_do() -> None:
    entry = Entry(source="x/y", name="x/y")
    failure = ModelError("x/y is gated.", "Accept its terms.")
    for text in (about_text(_view(entry, failure=failure)), short_text(_view(entry, failure=failure))):
        assert text.plain.startswith("✗ x/y is gated.\n→ Accept its terms.")


def test_a_swapped_name_shows_what_was_typed_what_is_loaded_and_why(tmp_path: Path) -> None:
    name = NameDecision(typed="u/m", loads="o/m", reason="the same in 16 bit", alternatives=("u/m",), is_swapped=True)
    text = _words(about_text(_view(_local(hollow_model(tmp_path / "m", QWEN3_8B)), name=name)).plain)
    assert "typed u/m loads → o/m why the same in 16 bit also u/m" in text


def test_a_model_in_the_cache_shows_its_sizes(tmp_path: Path) -> None:
    model = next(one for one in local_models(hollow_hub(tmp_path), []) if "Qwen" in one.name)
    text = about_text(_view(Entry(source=model.source, name=model.name, local=model))).plain
    assert "36 × 4,096 wide" in text and "apache-2.0" in text and "bfloat16, 16.4 GB, 1 file" in text
