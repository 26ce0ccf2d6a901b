"""Conversations from trees of replies, as Open-Assistant publishes them: down the best-ranked path."""

from collections.abc import Mapping

from tui_tuner.data.rows import Conversation, Message, SourceRow
from tui_tuner.data.shapes.messages import ROLES, RowFault, check_trainable, kind_of, text_of


def is_tree_node(value: object) -> bool:
    """Whether the value is a message with its replies below it."""
    return isinstance(value, Mapping) and {"text", "role", "replies"} <= value.keys()


def tree_conversation(row: SourceRow, columns: Mapping[str, str]) -> Conversation:
    """The path that takes the best-ranked reply at each turn, up to the last assistant turn."""
    node = row.fields.get(columns.get("tree", ""), row.fields)
    messages: list[Message] = []
    while node is not None:
        if not is_tree_node(node) or not isinstance(node, Mapping):
            raise RowFault(f'turn {len(messages) + 1} is {kind_of(node)} without "text", "role" and "replies"')
        role = ROLES.get(str(node["role"]).lower())
        if role is None:
            raise RowFault(f"turn {len(messages) + 1} has the unknown role {str(node['role'])[:40]!r}")
        messages.append(Message(role=role, content=text_of(node["text"], "text")))
        node = _best_reply(node["replies"])
    while messages and messages[-1].role != "assistant":
        messages.pop()
    if not messages:
        raise RowFault("no assistant turn (the prompt has no reply)")
    check_trainable(messages)
    return Conversation(ref=row.ref, messages=tuple(messages))


def _best_reply(replies: object) -> object:
    """The lowest rank wins; replies without a rank come last, in the order of the file."""
    if not isinstance(replies, list):
        raise RowFault(f'"replies" is {kind_of(replies)}, not a list')
    kept = [reply for reply in replies if not (isinstance(reply, Mapping) and reply.get("deleted"))]
    return min(kept, key=_rank, default=None)


def _rank(reply: object) -> float:
    rank = reply.get("rank") if isinstance(reply, Mapping) else None
    return float(rank) if isinstance(rank, int | float) else float("inf")
