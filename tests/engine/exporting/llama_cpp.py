"""llama.cpp itself, in this process, as the independent reader of our GGUF files. Nothing here asserts."""

import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest

xllamacpp = pytest.importorskip("xllamacpp", reason="llama.cpp is not installed: pip install 'tui-tuner[dev]'")


class LlamaCpp:
    """A server on a port of its own; ends with the object."""

    def __init__(self, model: Path, lora: Path | None = None) -> None:
        settings = xllamacpp.CommonParams()
        settings.model.path = str(model)
        settings.n_ctx, settings.n_parallel, settings.port = 256, 1, 0
        settings.cpuparams.n_threads, settings.warmup, settings.verbosity = 1, False, -1
        settings.use_jinja = True
        if lora is not None:
            adapter = xllamacpp.CommonAdapterLoraInfo()
            adapter.path, adapter.scale = str(lora), 1.0
            settings.lora_adapters = [adapter]
        self._server = xllamacpp.Server(settings)

    def greedy(self, prompt: tuple[int, ...], num_tokens: int) -> list[int]:
        asked = {"prompt": list(prompt), "n_predict": num_tokens, "temperature": 0, "top_k": 1, "return_tokens": True}
        tokens: list[int] = self._post("/completion", asked)["tokens"]
        return tokens

    def tokens(self, text: str) -> list[int]:
        tokens: list[int] = self._post("/tokenize", {"content": text, "add_special": False, "parse_special": True})[
            "tokens"
        ]
        return tokens

    def rendered(self, messages: list[dict[str, str]]) -> str:
        """By the chat template in the file."""
        return str(self._post("/apply-template", {"messages": messages})["prompt"])

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        request = urllib.request.Request(
            self._server.listening_address + path,
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)
