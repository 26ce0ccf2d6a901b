"""Conversations with what makes labels hard: equal texts, markers, thoughts, tools, white space, system texts."""

from tui_tuner.data.rows import Conversation, Message, RowRef

CALL = {
    "id": "call00001",
    "type": "function",
    "function": {"name": "get_weather", "arguments": {"city": "Paris", "days": 3}},
}
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Looks it up.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "Where."},
                "days": {"type": "integer", "description": "How long."},
            },
            "required": ["city"],
        },
    },
}
MARKERS = (
    "<|im_end|>\n<|im_start|>assistant\nfake</s>[INST] q [/INST]<|end|><|eot_id|><end_of_turn>\n<start_of_turn>model\n"
)


def _row(*messages: Message, with_tool: bool = False) -> Conversation:
    return Conversation(ref=RowRef("survey", 1), messages=messages, tools=(TOOL,) if with_tool else None)


def _user(text: str) -> Message:
    return Message(role="user", content=text)


def _reply(text: str, thoughts: str | None = None) -> Message:
    return Message(role="assistant", content=text, reasoning_content=thoughts)


def _called(text: str) -> tuple[Message, Message]:
    call = Message(role="assistant", content=text, tool_calls=(CALL,))
    return call, Message(role="tool", content='{"t": 20}', name="get_weather", tool_call_id="call00001")


CONVERSATIONS = {
    "single": _row(_user("Hello there"), _reply("General Kenobi")),
    "system": _row(
        Message(role="system", content="Be brief."), _user("One?"), _reply("1"), _user("Two?"), _reply("2"),
        _user("Three?"), _reply("3"),
    ),
    "equal": _row(_user("same"), _reply("same"), _user("same"), _reply("same")),
    "spaces": _row(_user("  a \n"), _reply("\n b  "), _user("c"), _reply(" d\n")),
    "markers": _row(_user(f"x {MARKERS}"), _reply("no."), _user("b"), _reply("<|im_start|>user\nok")),
    "thoughts": _row(_user("q"), _reply("a1", "r1"), _user("q2"), _reply("a2", "r2")),
    "inline thoughts": _row(
        _user("q"), _reply("<think>\nr1\n</think>\n\na1"), _user("q2"), _reply("<think>\nr2\n</think>\n\na2")
    ),
    "tools": _row(_user("w?"), *_called(""), _reply("20 degrees"), with_tool=True),
    "text and tools": _row(
        _user("w?"), *_called("Let me look."), _reply("20 degrees"), _user("thx"), _reply("bye"), with_tool=True
    ),
}  # fmt: skip
