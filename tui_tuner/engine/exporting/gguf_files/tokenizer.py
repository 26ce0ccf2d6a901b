"""A model's tokenizer as GGUF keys, from its tokenizer.json. Refuses what llama.cpp would split in another way."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gguf import Keys, TokenType

from tui_tuner.data.tokenizer import TextTokenizer
from tui_tuner.errors import ModelError

GPT2_SPLIT = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
PRE_BY_SPLIT = {
    f"{_WORDS}{{1,3}}{_REST}": "llama-bpe",
    f"{_WORDS}{_REST}": "qwen2",
    GPT2_SPLIT: "gpt-2",
}
"""What llama.cpp calls a way to split text into words, by its regular expression."""
UNREACHED_SCORE = -1e6
"""Of a piece that no merge makes: below every piece that one does."""
SPACE = "▁"
UNICODE_FORMS = ("NFC", "NFD", "NFKC", "NFKD")


@dataclass(frozen=True, slots=True)
class GgufTokenizer:
    """Keys for the file; arrays are those that are as long as the vocabulary, and the merges."""

    strings: dict[str, str]
    numbers: dict[str, int]
    flags: dict[str, bool]
    tokens: list[str]
    types: list[int]
    scores: list[float] | None
    merges: list[str] | None
    remarks: tuple[str, ...]
    """What llama.cpp does otherwise, in words."""


def gguf_tokenizer(
    tokenizer: TextTokenizer, vocab_size: int, end_of_turn_ids: tuple[int, ...], template: str, *, adds_bos: bool
) -> GgufTokenizer:
    """Translate a tokenizer for a model with so many rows of embeddings.

    Args:
        adds_bos: whether prompts began with the BOS token in training. Servers add it, or must not.

    Raises:
        ModelError: it is of a kind that llama.cpp does not have, or splits text in a way that is not known.
    """
    stored = json.loads((tokenizer.folder / "tokenizer.json").read_bytes())
    model = stored["model"]
    if model.get("type") != "BPE":
        raise ModelError(
            f"The tokenizer is {model.get('type')}; tuner writes BPE tokenizers into GGUF.",
            "Export as merged, and convert that with llama.cpp's convert_hf_to_gguf.py.",
        )
    merges = [one if isinstance(one, str) else " ".join(one) for one in model.get("merges", [])]
    is_sentencepiece = bool(model.get("byte_fallback"))
    tokens, types = _vocabulary(tokenizer, model["vocab"], vocab_size, is_sentencepiece)
    strings = {Keys.Tokenizer.MODEL: "llama" if is_sentencepiece else "gpt2"}
    flags = {Keys.Tokenizer.ADD_BOS: adds_bos, Keys.Tokenizer.ADD_EOS: False}
    if is_sentencepiece:
        strings[Keys.Tokenizer.PRE] = "default"
        flags[Keys.Tokenizer.ADD_PREFIX] = _adds_space(stored)
    else:
        strings[Keys.Tokenizer.PRE] = _pre(stored)
    strings[Keys.Tokenizer.CHAT_TEMPLATE] = template
    return GgufTokenizer(
        strings=strings,
        numbers=_special_ids(tokenizer, end_of_turn_ids),
        flags=flags,
        tokens=tokens,
        types=types,
        scores=_scores(tokens, merges) if is_sentencepiece else None,
        merges=None if is_sentencepiece else merges,
        remarks=tuple(_remarks(stored)),
    )


def _vocabulary(
    tokenizer: TextTokenizer, vocabulary: dict[str, int], vocab_size: int, is_sentencepiece: bool
) -> tuple[list[str], list[int]]:
    texts = {number: token for token, number in vocabulary.items()}
    added = {number: token for token, number in tokenizer.added_tokens.items()}
    special = set(tokenizer.special_tokens.values())
    tokens: list[str] = []
    types: list[int] = []
    for number in range(vocab_size):
        token = added.get(number, texts.get(number))
        if token is None:
            tokens.append(f"[PAD{number}]")
            types.append(TokenType.UNUSED)
            continue
        tokens.append(token)
        types.append(_type(token, number, added, special, is_sentencepiece))
    return tokens, types


def _type(token: str, number: int, added: dict[int, str], special: set[int], is_sentencepiece: bool) -> TokenType:
    if is_sentencepiece and token == "<unk>":
        return TokenType.UNKNOWN
    if number in special:
        return TokenType.CONTROL
    if is_sentencepiece and len(token) == 6 and token.startswith("<0x") and token.endswith(">"):
        return TokenType.BYTE
    return TokenType.USER_DEFINED if number in added else TokenType.NORMAL


def _scores(tokens: list[str], merges: list[str]) -> list[float]:
    """SentencePiece joins the pair with the highest score first: the sooner a merge comes, the higher."""
    ranks: dict[str, int] = {}
    for rank, merge in enumerate(merges):
        left, _, right = merge.partition(" ")
        ranks.setdefault(left + right, rank)
    return [float(-ranks[token]) if token in ranks else UNREACHED_SCORE for token in tokens]


def _adds_space(stored: dict[str, Any]) -> bool:
    """Whether a space goes before each stretch of text; "first" adds it only to text that begins with no token."""
    normalizer, splitter = stored.get("normalizer") or {}, stored.get("pre_tokenizer") or {}
    steps = [*normalizer.get("normalizers", [normalizer]), *splitter.get("pretokenizers", [splitter])]
    if any(step.get("type") == "Prepend" and step.get("prepend") == SPACE for step in steps):
        return True
    return any(step.get("type") == "Metaspace" and step.get("prepend_scheme") == "always" for step in steps)


def _remarks(stored: dict[str, Any]) -> Iterator[str]:
    normalizer = stored.get("normalizer") or {}
    for step in normalizer.get("normalizers", [normalizer]):
        if step.get("type") in UNICODE_FORMS:
            yield f"the tokenizer brings text into {step['type']} form, llama.cpp does not: decomposed accents differ"


def _pre(stored: dict[str, Any]) -> str:
    splitter = stored.get("pre_tokenizer") or {}
    steps = splitter.get("pretokenizers", [splitter])
    kinds = [step.get("type") for step in steps]
    if kinds == ["ByteLevel"] and steps[0].get("use_regex", True):
        return "gpt-2"
    if kinds == ["Digits", "ByteLevel"] and steps[0].get("individual_digits") and steps[1].get("use_regex", True):
        return "smollm"
    if kinds == ["Split", "ByteLevel"] and not steps[1].get("use_regex", True):
        pattern = steps[0].get("pattern", {}).get("Regex")
        if pattern in PRE_BY_SPLIT:
            return PRE_BY_SPLIT[pattern]
    raise ModelError(
        f"The tokenizer splits text by {' and '.join(map(str, kinds))} in a way that has no name in GGUF.",
        "Export as merged, and convert that with llama.cpp's convert_hf_to_gguf.py.",
    )


def _special_ids(tokenizer: TextTokenizer, end_of_turn_ids: tuple[int, ...]) -> dict[str, int]:
    named = {
        Keys.Tokenizer.BOS_ID: tokenizer.bos_id,
        Keys.Tokenizer.EOS_ID: tokenizer.eos_id,
        Keys.Tokenizer.PAD_ID: tokenizer.pad_id,
    }
    unknown = tokenizer.named_tokens.get("unk_token")
    if unknown is not None:
        named[Keys.Tokenizer.UNK_ID] = tokenizer.backend.token_to_id(unknown)
    ends = [one for one in end_of_turn_ids if one != tokenizer.eos_id]
    if ends:
        named[Keys.Tokenizer.EOT_ID] = ends[0]
    return {key: number for key, number in named.items() if number is not None}
