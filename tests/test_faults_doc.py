"""docs/faults.md promises a test for each fault; each of them is there."""

import re
from pathlib import Path

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "faults.md"
NAMED = re.compile(r"`([\w/]+\.py)::(test_\w+)`")
HEADINGS = ("| fault |", "|---|")


def rows() -> list[str]:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.startswith("|") and not line.startswith(HEADINGS)]


def test_each_fault_names_a_test() -> None:
    assert [row for row in rows() if not NAMED.search(row)] == []


def test_each_named_test_is_there() -> None:
    named = [match for row in rows() for match in NAMED.findall(row)]
    gone = [f"{file}::{name}" for file, name in named if f"def {name}(" not in (TESTS / file).read_text("utf-8")]
    assert gone == []
