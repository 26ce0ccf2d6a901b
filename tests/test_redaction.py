"""Access tokens are taken out of everything that is written or shown."""

import json

import pytest

from tui_tuner.errors import ModelError, Problem, RecipeError
from tui_tuner.events import WarningRaised
from tui_tuner.recipe import parse_recipe
from tui_tuner.redaction import holds_secret, redacted

TOKEN = "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"
RECIPE = '[model]\nsource = "{source}"\n[[data.sources]]\npath = "train.jsonl"\n'


@pytest.mark.parametrize(
    "text",
    [
        f"401 for {TOKEN} at huggingface.co",
        f"https://user:{TOKEN}@huggingface.co/x",
        "https://user:a-plain-password@example.org/x.jsonl",
        "GET /x?access_token=abcdefghijklmnopqrstuvwx",
        "Authorization: Bearer abcdefghijklmnopqrstuvwx",
        "ghp_CANARYcanaryCANARYcanaryCANARYcanary",
        "sk-proj-CANARYcanaryCANARYcanaryCANARY",
        "'api_key': '0123456789abcdef0123456789abcdef01234567'",
    ],
)
def test_the_forms_of_tokens_are_known(text: str) -> None:
    shown = redacted(text, {})
    assert "[hidden]" in shown
    assert not any(secret in shown for secret in ("CANARY", "plain-password", "abcdefgh", "0123456789"))


def test_values_of_secret_variables_are_taken_out() -> None:
    environment = {
        "WANDB_API_KEY": "0123456789abcdef",
        "HF_TOKEN_PATH": "/home/ada/token",
        "HOME": "/home/ada-lovelace",
    }
    assert redacted("key 0123456789abcdef in /home/ada-lovelace", environment) == "key [hidden] in /home/ada-lovelace"


@pytest.mark.parametrize(
    "text", ["", "loss 0.25", "token_accuracy=0.123456789012345678", "runs/hf_home/one", "tokens: 1234567890123456789"]
)
def test_other_text_stays_as_it_is(text: str) -> None:
    assert redacted(text, {}) == text
    assert not holds_secret(text)


def test_json_stays_json() -> None:
    line = WarningRaised(message=f'"{TOKEN}" and https://a:{TOKEN}@b', hint="\\").model_dump_json()
    assert json.loads(redacted(line))["message"] == '"[hidden]" and https://[hidden]@b'


def test_an_error_shows_no_token() -> None:
    error = ModelError(f"cannot fetch with {TOKEN}.", f"Is {TOKEN} still good?")
    assert "CANARY" not in f"{error} {error.message} {error.hint} {error!r}"
    assert "CANARY" not in str(RecipeError([Problem(path="model.source", message=TOKEN)], TOKEN))


def test_a_recipe_with_a_token_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"model.source: holds an access token") as caught:
        parse_recipe(RECIPE.format(source=f"https://u:{TOKEN}@hub/x"))
    assert "CANARY" not in str(caught.value)
