"""A tokenizer read from a model folder by `tokenizers` alone. Text goes in as it is: special tokens are never added."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, pairwise
from pathlib import Path

import numpy as np
from tokenizers import AddedToken, Encoding, Tokenizer

from tui_tuner.errors import DataError

TOKEN_FIELDS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
IntArray = np.ndarray[tuple[int], np.dtype[np.int32]]
NOWHERE = np.empty(0, dtype=np.intp)


@dataclass(frozen=True, slots=True, eq=False)
class EncodedText:
    """Token ids, and the characters [starts, ends) that each came from. Parts of one character share its range."""

    ids: IntArray
    starts: IntArray
    ends: IntArray

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TextTokenizer:
    """What data preparation needs to know of a model's tokenizer."""

    folder: Path
    backend: Tokenizer
    named_tokens: Mapping[str, str]
    """bos_token, eos_token and so on, where the model has them. Chat templates see these names."""
    special_tokens: Mapping[str, int]
    """Control tokens; in text they become one id."""
    added_tokens: Mapping[str, int]
    """All tokens that are never split, control tokens and others such as <tool_call>."""
    adds_bos: bool
    """Whether plain text is meant to begin with the BOS token."""
    stop_ids: tuple[int, ...]
    """Tokens at which the model's own generation ends: the EOS token and those of its generation config."""
    chat_template: str | None
    vocab_size: int
    fingerprint: str
    """SHA-256 of tokenizer.json."""

    @property
    def bos_id(self) -> int | None:
        return self._id("bos_token")

    @property
    def eos_id(self) -> int | None:
        return self._id("eos_token")

    @property
    def pad_id(self) -> int | None:
        return self._id("pad_token")

    def encode(self, text: str) -> EncodedText:
        return _encoded([self.backend.encode(text, add_special_tokens=False)], [len(text)])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[EncodedText]:
        """Encode on all cores."""
        encodings = self.backend.encode_batch(list(texts), add_special_tokens=False)
        return _encoded(encodings, [len(text) for text in texts])

    def decode(self, ids: Sequence[int] | IntArray, skip_special_tokens: bool = False) -> str:
        return self.backend.decode([int(one) for one in ids], skip_special_tokens=skip_special_tokens)

    def _id(self, name: str) -> int | None:
        token = self.named_tokens.get(name)
        return None if token is None else self.backend.token_to_id(token)


def load_text_tokenizer(folder: Path) -> TextTokenizer:
    """Read tokenizer.json and the small files beside it.

    Raises:
        DataError: there is no tokenizer.json, or a file is damaged.
    """
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise DataError(f"{folder} has no tokenizer.json.", _missing_hint(folder))
    content = path.read_bytes()
    try:
        backend = Tokenizer.from_str(content.decode("utf-8"))
    except Exception as error:  # the library raises nothing narrower
        raise DataError(f"{path} cannot be read: {error}.", "Download the model's tokenizer again.") from error
    config = _small_json(folder / "tokenizer_config.json")
    named = _named_tokens(config, _small_json(folder / "special_tokens_map.json"))
    _add_configured_tokens(backend, config)
    adds_bos = _adds_bos(backend, config, named.get("bos_token"))
    # Encoding must neither add tokens nor trim offsets, cut or pad.
    backend.post_processor = None
    backend.no_truncation()
    backend.no_padding()
    return TextTokenizer(
        folder=folder,
        backend=backend,
        named_tokens=named,
        special_tokens=_special_tokens(backend, named),
        added_tokens={token.content: number for number, token in backend.get_added_tokens_decoder().items()},
        adds_bos=adds_bos,
        stop_ids=_stop_ids(folder, backend, named.get("eos_token")),
        chat_template=_chat_template(folder, config),
        vocab_size=backend.get_vocab_size(with_added_tokens=True),
        fingerprint=hashlib.sha256(content).hexdigest(),
    )


def _encoded(encodings: Sequence[Encoding], lengths: Sequence[int]) -> list[EncodedText]:
    """Many texts at once: short ones cost less so. `lengths` are those of the texts."""
    borders = [0, *accumulate(len(encoding) for encoding in encodings)]
    num_tokens = borders[-1]
    ids = np.fromiter(chain.from_iterable(one.ids for one in encodings), dtype=np.int32, count=num_tokens)
    offsets = chain.from_iterable(chain.from_iterable(one.offsets for one in encodings))
    starts, ends = np.fromiter(offsets, dtype=np.int32, count=2 * num_tokens).reshape(-1, 2).T.copy()
    has_empty = bool((ends <= starts).any())
    encoded = []
    for (begin, end), length in zip(pairwise(borders), lengths, strict=True):
        one = EncodedText(ids[begin:end], starts[begin:end], ends[begin:end])
        empty = np.flatnonzero(one.ends <= one.starts) if has_empty else NOWHERE
        if empty.size:
            _fill_gaps(one.starts, one.ends, empty, length)
        encoded.append(one)
    return encoded


def _fill_gaps(starts: IntArray, ends: IntArray, empty: np.ndarray[tuple[int], np.dtype[np.intp]], length: int) -> None:
    """Tokens without a range of their own stand for what lies between their neighbours."""
    for index in empty:
        starts[index] = ends[index - 1] if index else 0
        following = starts[index + 1] if index + 1 < len(starts) else length
        ends[index] = max(following, starts[index])


def _missing_hint(folder: Path) -> str:
    if (folder / "tokenizer.model").is_file():
        return (
            "It has a tokenizer.model only: load it once with transformers' AutoTokenizer and save_pretrained it there."
        )
    return "Copy tokenizer.json and tokenizer_config.json of the model there."


def _small_json(path: Path) -> Mapping[str, object]:
    """An object from a description file; empty where there is no file."""
    if not path.is_file():
        return {}
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not valid JSON: {error}.", "Download it again.") from error
    return value if isinstance(value, dict) else {}


def _named_tokens(config: Mapping[str, object], token_map: Mapping[str, object]) -> dict[str, str]:
    named = {}
    for field in TOKEN_FIELDS:
        value = config.get(field, token_map.get(field))
        token = value.get("content") if isinstance(value, Mapping) else value
        if isinstance(token, str):
            named[field] = token
    return named


def _add_configured_tokens(backend: Tokenizer, config: Mapping[str, object]) -> None:
    """Tokens that only tokenizer_config.json lists belong to the vocabulary as well."""
    entries = config.get("added_tokens_decoder")
    for number in sorted(entries, key=int) if isinstance(entries, Mapping) else ():
        entry = entries[number] if isinstance(entries, Mapping) else {}
        content = str(entry["content"])
        if backend.token_to_id(content) is None:
            flags = {name: bool(entry.get(name)) for name in ("single_word", "lstrip", "rstrip", "normalized")}
            backend.add_tokens([AddedToken(content, special=bool(entry.get("special")), **flags)])


def _adds_bos(backend: Tokenizer, config: Mapping[str, object], bos: str | None) -> bool:
    if bos is None:
        return False
    configured = config.get("add_bos_token")
    if isinstance(configured, bool):
        return configured
    return backend.encode("a", add_special_tokens=True).ids[:1] == [backend.token_to_id(bos)]


def _special_tokens(backend: Tokenizer, named: Mapping[str, str]) -> dict[str, int]:
    special = {token.content: number for number, token in backend.get_added_tokens_decoder().items() if token.special}
    ids = {token: backend.token_to_id(token) for token in named.values()}
    return special | {token: number for token, number in ids.items() if number is not None}


def _stop_ids(folder: Path, backend: Tokenizer, eos: str | None) -> tuple[int, ...]:
    stops: list[object] = [] if eos is None else [backend.token_to_id(eos)]
    configured = _small_json(folder / "generation_config.json").get("eos_token_id")
    if configured is None:
        configured = _small_json(folder / "config.json").get("eos_token_id")
    stops += configured if isinstance(configured, list) else [configured]
    return tuple(dict.fromkeys(stop for stop in stops if isinstance(stop, int)))


def _chat_template(folder: Path, config: Mapping[str, object]) -> str | None:
    """The template file wins over the config; of several named templates it is the one named "default"."""
    path = folder / "chat_template.jinja"
    if path.is_file():
        return path.read_text(encoding="utf-8")
    template = config.get("chat_template")
    if isinstance(template, list):
        named = {entry.get("name"): entry.get("template") for entry in template if isinstance(entry, dict)}
        template = named.get("default", template[0].get("template") if len(named) == 1 else None)
    return template if isinstance(template, str) else None
