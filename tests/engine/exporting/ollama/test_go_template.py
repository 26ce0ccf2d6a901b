"""The little of Go's templates that we write is evaluated as Go does; the rest is refused."""

import pytest

from tui_tuner.engine.exporting.ollama.go_template import literal, render_go
from tui_tuner.errors import DataError

CHAT = (("system", "S"), ("user", "one"), ("assistant", "two"), ("user", "three"))


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("plain } text", "plain } text"),
        ("{{ .System }}!", "S!"),
        ("{{ if .System }}a{{ else }}b{{ end }}", "a"),
        ("{{ range $i, $m := .Messages }}{{ $m.Role }}{{ $i }} {{ end }}", "system0 user1 assistant2 user3 "),
        ('{{ range $i, $m := .Messages }}{{ if eq .Role "user" }}U{{ else if eq .Role "system" }}S{{ end }}{{ end }}',
         "SUU"),
        ("{{ range $i, $m := .Messages }}{{ $l := eq (len (slice $.Messages $i)) 1 }}{{ if $l }}last{{ end }}{{ end }}",
         "last"),
        ("{{ if and .System (not .System) }}a{{ end }}{{ or .System 1 }}", "S"),
    ],
)  # fmt: skip
def test_template_says_what_go_would_say(template: str, expected: str) -> None:
    assert render_go(template, "S", CHAT) == expected


@pytest.mark.parametrize("text", ['quote " and \\ backslash', "\n\t", "{{ .System }}", "<|im_start|>", "Grüße 🦊"])
def test_literal_writes_exactly_its_text(text: str) -> None:
    assert render_go(literal(text), "", ()) == text


@pytest.mark.parametrize(
    "template",
    ["{{ .Nothing }}", "{{ trim .System }}", "{{ if .System }}", "{{ end }}", "{{ $x }}", "{{ .System | json }}"],
)
def test_what_is_not_known_is_refused(template: str) -> None:
    with pytest.raises(DataError, match="cannot evaluate"):
        render_go(template, "S", CHAT)
