"""What is known of the families without rendering anything: what may stand around a trained reply. Typed by hand."""

from pathlib import Path

SENTENCE_END = "<\uff5cend\u2581of\u2581sentence\uff5c>"
MIDDLE_AND_LAST: dict[str, tuple[str, str]] = {
    "deepseek deepseekv3 llama-cpp-deepseek": (SENTENCE_END, SENTENCE_END),
    "llama3 llama-3 meta-llama meetkai": ("<|eot_id|>", "<|eot_id|>"),
    "Mistral mistralai unsloth-mistral llava": ("</s>", "</s>"),
    "google-gemma-2 gemma": ("<end_of_turn>", "<end_of_turn>"),
    "google-gemma-4 diffusion_gemma": ("<turn|>", "<turn|>"),
    "microsoft-Phi phi3": ("<|end|>", "<|end|>"),
    "unsloth-Apriel": ("\n<|end|>", "\n<|end|>"),
    "Apriel": ("\n<|end|>", ""),
    "Apertus": ("<|assistant_end|>", ""),
    "ibm-granite": ("<|end_of_text|>", "<|end_of_text|>"),
    "openai-gpt-oss gptoss": ("<|end|>", "<|return|>"),
    "cohere cohere_training CohereForAI-c4ai-command-r-plus": ("<|END_OF_TURN_TOKEN|>", "<|END_OF_TURN_TOKEN|>"),
    "cohere2 CohereForAI-c4ai-command-r7b": ("<|END_RESPONSE|><|END_OF_TURN_TOKEN|>",) * 2,
    "Cohere2MoE": ("<|END_TEXT|><|END_OF_TURN_TOKEN|>", "<|END_TEXT|><|END_OF_TURN_TOKEN|>"),
    "GigaChat": ("<|message_sep|>", "<|message_sep|>"),
    "ByteDance": ("<seed:eos>", "<seed:eos>"),
    "Reka": ("\n\n<sep>", "\n\n<sep>"),
    "idefics3": ("<end_of_utterance>", "<end_of_utterance>"),
    "llama-cpp-rwkv": ("", ""),
    "GLM glm4moe": ("<|user|>", ""),
    "glm4moe_training": ("<|user|>", "<|user|>"),
}
"""By the beginning of a template's name: what closes a plain reply before a question, and at the end of a row."""
CHATML_END = ("<|im_end|>", "<|im_end|>")
OPENINGS = frozenset({
    "", "<think>\n\n</think>\n\n", "\n</think>\n\n", "\n</think>\n", "</think>", "<think></think>",
    "\n<think></think>\n", "<|START_TEXT|>", "<|START_RESPONSE|>", "<|channel|>final<|message|>", "all\n",
})  # fmt: skip
"""What a model has to write before a plain reply, white space at the ends aside."""
BAR = "\uff5c"
HEADS = (
    "<|im_start|>", "<|start_header_id|>", "<|end_header_id|>", "[INST]", "[/INST]", "<start_of_turn>", "<|turn>",
    f"<{BAR}User{BAR}>", f"<{BAR}Assistant{BAR}>", "<|START_OF_TURN_TOKEN|>", "<|CHATBOT_TOKEN|>", "<|USER_TOKEN|>",
    "<|begin_user|>", "<|begin_assistant|>", "<|begin_tool_result|>", "<|assistant|>", "<|im_user|>", "<|im_middle|>",
    "<|im_assistant|>", "<|start_of_role|>", "<|user_start|>", "<|assistant_start|>", "<|start|>", "<seed:bos>",
    "<tool_response>", "<tool_result>", "[TOOL_RESULTS]", "human:", "assistant:", "User:", "Assistant:",
    "<|tool_result|>", "assistant<|role_sep|>",
)  # fmt: skip
"""Parts of heads of turns and of results: no model writes them."""


def closings(path: Path) -> tuple[str, str]:
    """What closes a plain reply in the middle and at the end of a row."""
    known = [(start, ends) for starts, ends in MIDDLE_AND_LAST.items() for start in starts.split()]
    fitting = [(len(start), ends) for start, ends in known if path.stem.startswith(start)]
    return max(fitting)[1] if fitting else CHATML_END
