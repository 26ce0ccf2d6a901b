"""The part of Go's text/template that our Modelfiles use, read and evaluated here so that they can be checked.

Known: text, {{ if }} {{ else if }} {{ else }} {{ range $i, $m := }} {{ end }}, string literals, fields, variables, and
the functions eq, not, and, or, len, slice. Anything else is refused, never skipped.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tui_tuner.errors import DataError

ACTION = re.compile(r'\{\{((?:"(?:\\.|[^"\\])*"|[^"])*?)\}\}')
"""Braces inside a string literal do not end an action."""
WORD = re.compile(r'\s*("(?:\\.|[^"\\])*"|:=|[(),]|[$.\w]+)')
ARGUMENTS = {"eq": 2, "not": 1, "and": 2, "or": 2, "len": 1, "slice": 2}
Value = object


@dataclass(frozen=True, slots=True)
class Text:
    text: str


@dataclass(frozen=True, slots=True)
class Expression:
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Branch:
    """If the condition holds the first list, else the second."""

    condition: Expression
    then: tuple["Node", ...]
    otherwise: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Loop:
    index: str
    element: str
    over: Expression
    body: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Assignment:
    variable: str
    value: Expression


Node = Text | Expression | Branch | Loop | Assignment


def render_go(template: str, system: str, messages: Sequence[tuple[str, str]]) -> str:
    """What Ollama makes of a conversation; `messages` are (role, content), the system message among them.

    Raises:
        DataError: the template uses what is not known here.
    """
    nodes, rest = _nodes(_pieces(template), template)
    if rest:
        raise _unknown("{{ end }} without a beginning")
    data = {"System": system, "Messages": [{"Role": role, "Content": content} for role, content in messages]}
    return "".join(_render(nodes, data, {"$": data}))


def literal(text: str) -> str:
    """An action that writes exactly this text; Go reads JSON's escapes."""
    return "{{ " + json.dumps(text, ensure_ascii=False) + " }}" if text else ""


def _pieces(template: str) -> list[Text | tuple[str, ...]]:
    pieces: list[Text | tuple[str, ...]] = []
    end = 0
    for match in ACTION.finditer(template):
        if match.start() > end:
            pieces.append(Text(template[end : match.start()]))
        pieces.append(_words(match.group(1)))
        end = match.end()
    if end < len(template):
        pieces.append(Text(template[end:]))
    return pieces


def _words(action: str) -> tuple[str, ...]:
    words, place = [], 0
    text = action.strip()
    while place < len(text):
        match = WORD.match(text, place)
        if match is None:
            raise _unknown(text)
        words.append(match.group(1))
        place = match.end()
    return tuple(words)


def _nodes(
    pieces: Sequence[Text | tuple[str, ...]], template: str
) -> tuple[tuple[Node, ...], list[Text | tuple[str, ...]]]:
    """Nodes up to the end or the else that closes this list, and what stands behind, that action included."""
    nodes: list[Node] = []
    left = list(pieces)
    while left:
        piece = left[0]
        if isinstance(piece, Text):
            nodes.append(piece)
            left.pop(0)
        elif piece[0] in ("end", "else"):
            return tuple(nodes), left
        else:
            left.pop(0)
            node, left = _node(piece, left, template)
            nodes.append(node)
    return tuple(nodes), []


def _node(
    words: tuple[str, ...], left: list[Text | tuple[str, ...]], template: str
) -> tuple[Node, list[Text | tuple[str, ...]]]:
    if words[0] == "if":
        return _branch(words[1:], left, template)
    if words[0] == "range":
        if len(words) < 6 or words[2] != "," or words[4] != ":=":
            raise _unknown(" ".join(words))
        body, left = _nodes(left, template)
        return Loop(words[1], words[3], Expression(words[5:]), body), _closed(left)
    if len(words) > 2 and words[1] == ":=":
        return Assignment(words[0], Expression(words[2:])), left
    return Expression(words), left


def _branch(
    condition: tuple[str, ...], left: list[Text | tuple[str, ...]], template: str
) -> tuple[Branch, list[Text | tuple[str, ...]]]:
    then, left = _nodes(left, template)
    closing = left[0] if left else None
    if not isinstance(closing, tuple):
        raise _unknown("{{ if }} without an end")
    if closing == ("end",):
        return Branch(Expression(condition), then, ()), left[1:]
    if closing[:2] == ("else", "if"):
        inner, left = _branch(closing[2:], left[1:], template)
        return Branch(Expression(condition), then, (inner,)), left
    otherwise, left = _nodes(left[1:], template)
    return Branch(Expression(condition), then, otherwise), _closed(left)


def _closed(left: list[Text | tuple[str, ...]]) -> list[Text | tuple[str, ...]]:
    if not left or left[0] != ("end",):
        raise _unknown("a block without an end")
    return left[1:]


def _render(nodes: Sequence[Node], data: Value, variables: dict[str, Value]) -> Iterator[str]:
    for node in nodes:
        match node:
            case Text():
                yield node.text
            case Expression():
                yield str(_value(node, data, variables))
            case Assignment():
                variables[node.variable] = _value(node.value, data, variables)
            case Branch():
                chosen = node.then if _value(node.condition, data, variables) else node.otherwise
                yield from _render(chosen, data, variables)
            case Loop():
                elements = _value(node.over, data, variables)
                for index, element in enumerate(_list(elements)):
                    inner = {**variables, node.index: index, node.element: element}
                    yield from _render(node.body, element, inner)


def _value(expression: Expression, data: Value, variables: dict[str, Value]) -> Value:
    value, rest = _call(list(expression.words), data, variables)
    if rest:
        raise _unknown(" ".join(expression.words))
    return value


def _call(words: list[str], data: Value, variables: dict[str, Value]) -> tuple[Value, list[str]]:
    if words and words[0] in ARGUMENTS:
        name, rest = words[0], words[1:]
        arguments = []
        for _ in range(ARGUMENTS[name]):
            argument, rest = _operand(rest, data, variables)
            arguments.append(argument)
        return _apply(name, arguments), rest
    return _operand(words, data, variables)


def _operand(words: list[str], data: Value, variables: dict[str, Value]) -> tuple[Value, list[str]]:
    if not words:
        raise _unknown("an expression that breaks off")
    word, rest = words[0], words[1:]
    if word == "(":
        value, rest = _call(rest, data, variables)
        if rest[:1] != [")"]:
            raise _unknown("a bracket that is not closed")
        return value, rest[1:]
    if word.startswith('"'):
        return json.loads(word), rest
    if word.isdigit():
        return int(word), rest
    root, *fields = word.split(".")
    if root == "" and word.startswith("."):
        return _field(data, fields), rest
    if root in variables:
        return _field(variables[root], fields), rest
    raise _unknown(word)


def _field(value: Value, fields: Sequence[str]) -> Value:
    for name in fields:
        if not isinstance(value, dict) or name not in value:
            raise _unknown(f".{name}")
        value = value[name]
    return value


def _apply(name: str, arguments: list[Value]) -> Value:
    match name, arguments:
        case "eq", [first, second]:
            return first == second
        case "not", [one]:
            return not one
        case "and", [first, second]:
            return first and second
        case "or", [first, second]:
            return first or second
        case "len", [one]:
            return len(_list(one))
        case "slice", [one, int(start)]:
            return _list(one)[start:]
    raise _unknown(name)


def _list(value: Value) -> list[Value]:
    if not isinstance(value, list):
        raise _unknown(f"a list was expected, found {type(value).__name__}")
    return value


def _unknown(what: str) -> DataError:
    return DataError(f"The Go template uses {what!r}, which tuner cannot evaluate.")
