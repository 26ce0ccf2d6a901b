"""A tokenizer for a template without its model: bytes, and every marker of the template as one token of its own."""

import re
from collections.abc import Mapping
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

from tui_tuner.data.tokenizer import TextTokenizer

BAR = "\uff5c"
"""DeepSeek's bar, which looks like the one of ASCII."""
MARKERS = re.compile(
    rf"<[|{BAR}][^<>|{BAR}\s]{{1,40}}[|{BAR}]>|<\|[a-z_]+>|<[a-z_]+\|>|<sop>|\[gMASK\]"
    r"|</?(?:think|tool_call|start_of_turn|end_of_turn|end_of_utterance|s|sep|bos|eos|arg_key|arg_value)>"
    r"|</?(?:seed:[a-z_]+|SPECIAL_\d+)>"
    r"|\[/?(?:INST|TOOL_CALLS|AVAILABLE_TOOLS|TOOL_RESULTS|SYSTEM_PROMPT|THINK|ARGS|CALL_ID)\]"
)
PLAIN = re.compile(r"</?(?:think|tool_call|arg_key|arg_value)>")
"""Added tokens that are no control tokens."""
STOPS = (
    "</s>", "<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|end|>", "<end_of_turn>", "<turn|>", "<|END_OF_TURN_TOKEN|>",
    f"<{BAR}end\u2581of\u2581sentence{BAR}>", "<|return|>", "<|call|>", "<|endofturn|>", "<|user|>",
    "<|observation|>", "<|endoftext|>",
    "<|end_of_text|>", "<|message_sep|>", "<seed:eos>", "<|assistant_end|>", "<SPECIAL_12>", "<|eot|>",
    "<sep>", "<end_of_utterance>",
)  # fmt: skip
"""What the generation configs of the families name."""


def stand_in_tokenizer(template: str) -> TextTokenizer:
    """The markers are taken out of the template's text; of the families' stop tokens those that it has are stops."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE(vocab={letter: number for number, letter in enumerate(alphabet)}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    markers = sorted({"<s>", "</s>", "<|im_start|>", "<|im_end|>", *MARKERS.findall(template)})
    control = [marker for marker in markers if not PLAIN.fullmatch(marker)]
    backend.add_special_tokens([AddedToken(marker, special=True, normalized=False) for marker in control])
    backend.add_tokens([AddedToken(marker, normalized=False) for marker in markers if marker not in control])
    numbers = {token.content: number for number, token in backend.get_added_tokens_decoder().items()}
    return TextTokenizer(
        folder=Path(),
        backend=backend,
        named_tokens={"bos_token": "<s>", "eos_token": "</s>", "pad_token": "</s>", "unk_token": "<s>"},
        special_tokens={marker: numbers[marker] for marker in control},
        added_tokens=numbers,
        adds_bos=False,
        stop_ids=tuple(numbers[stop] for stop in STOPS if stop in numbers and not _goes_on_behind(stop, numbers)),
        chat_template=template,
        vocab_size=backend.get_vocab_size(),
        fingerprint="",
    )


def _goes_on_behind(stop: str, numbers: Mapping[str, int]) -> bool:
    """gpt-oss ends each of its messages in a token that ends the whole turn in other families."""
    return stop == "<|end|>" and "<|return|>" in numbers
