"""llama.cpp splits text as the tokenizers of real models do, from the keys that we write."""

import shutil
from pathlib import Path

import pytest

from tests.engine.exporting.llama_cpp import LlamaCpp
from tests.engine.exporting.made_adapters import exported, finished
from tests.tiny import CHATML, tiny_model
from tui_tuner.data.tokenizer import load_text_tokenizer
from tui_tuner.exports import ExportKind

TOKENIZERS = Path(__file__).resolve().parents[5] / "shared" / "data" / "tokenizers"
TEXTS = (
    "Hello world", " leading and  double  spaces ", "def f(x):\n    return {x: 1}\n\n", "Grüße, 数学 и ещё 🦊!",
    "1234567 3.14 it's I'LL we've", "a\tb\r\nc", "https://example.org/?q=1&r=%20", "\n\n\n", "ﬁ é",
)  # fmt: skip
needs_data = pytest.mark.skipif(not TOKENIZERS.is_dir(), reason="the shared tokenizers are not beside the repository")


@needs_data
@pytest.mark.parametrize(
    "name", ["gpt2", "mistral-v3", *(pytest.param(name, marks=pytest.mark.nightly) for name in ("qwen3", "phi-3"))]
)
def test_llama_cpp_gives_the_ids_of_the_tokenizer(name: str, tmp_path: Path) -> None:
    tokenizer = load_text_tokenizer(TOKENIZERS / name)
    model = tmp_path / "model"
    tiny_model("llama", vocab_size=tokenizer.vocab_size + 8).save_pretrained(model)
    for path in (TOKENIZERS / name).iterdir():
        shutil.copyfile(path, model / path.name)
    if tokenizer.chat_template is None:
        (model / "chat_template.jinja").write_text(CHATML, encoding="utf-8")
    (path,) = finished(exported(model, ExportKind.GGUF, tmp_path / "gguf"))
    server = LlamaCpp(path)
    begin = tokenizer.named_tokens.get("bos_token", "")
    for text in TEXTS:
        assert server.tokens(begin + text) == tokenizer.encode(begin + text).ids.tolist(), repr(text)
