"""Templates of strangers: bounded in time, memory and output, and no process is left behind."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.data.material import (
    CHATML,
    INSTRUCT,
    processor_seconds,
    recipe_of,
    survey,
    tiny_tokenizer,
    turns,
    write_questions,
    write_tokenizer,
)
from tui_tuner.data.dataset import label_data
from tui_tuner.data.label_audit import audit_rows
from tui_tuner.data.rendering.frames import RenderedText, TemplateProgram, read_answer, write_frame
from tui_tuner.data.rendering.pool import RenderPool
from tui_tuner.data.rows import BadRow, Conversation, Message, RowRef
from tui_tuner.data.turn_endings import turn_endings
from tui_tuner.errors import DataError

LOOPS = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
DOUBLING = "{% set n = namespace(x='aaaa') %}{% for i in range(60) %}{% set n.x = n.x + n.x %}{% endfor %}{{ n.x }}"
NOT_FOLDED = "(messages | length)"
HOSTILE = {
    "nested loops": (LOOPS, "computes without end"),
    "a power while compiling": ("{{ 10 ** 10000000 }}", "computes without end"),
    "a power while rendering": (f"{{{{ ({NOT_FOLDED} * 10) ** 10000000 }}}}", "computes without end"),
    "a long text while compiling": ("{{ 'a' * 1000000000 }}", "too much memory"),
    "a long text while rendering": (f"{{{{ 'a' * ({NOT_FOLDED} * 1000000000) }}}}", "too much memory"),
    "a number too long to write": ("{{ 2 ** 100000 }}", "cannot be compiled"),
    "doubling": (DOUBLING, "too much memory"),
    "a huge list": (f"{{{{ ([1] * ({NOT_FOLDED} * 900000000)) | length }}}}", "too much memory"),
    "padding": ("{{ 'x' | center(2000000000) }}", "too much memory"),
    "a huge range": ("{{ range(10 ** 12) | list }}", "Range too big"),
    "recursion": ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "calls itself without end"),
    "nesting": ("{% if 1 %}" * 5000 + "{% endif %}" * 5000, "nested too deeply"),
    "a flood": ("{{ 'a' * 100000 }}", "writes 100,000 characters for a conversation of"),
}
MESSAGES = (Message(role="user", content="Hi"), Message(role="assistant", content="Yo"))


def program(text: str, folder: Path) -> TemplateProgram:
    return TemplateProgram(text=text, variables={}, name="template", endings=turn_endings(tiny_tokenizer(folder)))


@pytest.fixture(name="pool")
def _pool() -> Iterator[RenderPool]:
    with RenderPool() as pool:
        yield pool


def children() -> set[str]:
    return {
        child for thread in Path("/proc/self/task").iterdir() for child in (thread / "children").read_text().split()
    }


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_template_is_one_error_in_bounded_time(tmp_path: Path, name: str) -> None:
    text, said = HOSTILE[name]
    before, began = children(), processor_seconds()
    with pytest.raises(DataError, match=said), RenderPool() as pool:
        pool.load(program(text, tmp_path))
        pool.render(MESSAGES)
    assert processor_seconds() - began < 5  # a renderer may compute for 1.5 s, and takes time to start
    assert children() <= before


def test_no_hostile_template_takes_much_memory(tmp_path: Path) -> None:
    code = f"""
import resource
from pathlib import Path
from tests.data.test_rendering import DataError, HOSTILE, MESSAGES, RenderPool, program
for name, (text, said) in HOSTILE.items():
    if said == "too much memory":
        try:
            with RenderPool() as pool:
                pool.load(program(text, Path({str(tmp_path)!r})))
                pool.render(MESSAGES)
        except DataError:
            pass
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)
"""
    assert 0 < int(run(code)) < 400


@pytest.mark.parametrize(
    ("attack", "said"),
    [
        (LOOPS, r"computes without end on a\.jsonl:3\."),
        ("{{ 'x' * 10 ** 10 }}", r"needs too much memory on a\.jsonl:3\."),
    ],
)
def test_the_row_that_breaks_a_limit_is_named(tmp_path: Path, pool: RenderPool, attack: str, said: str) -> None:
    text = "{% for m in messages %}{{ m.content }}{% if m.content == 'go' %}" + attack + "{% endif %}{% endfor %}"
    pool.load(program(text, tmp_path))
    rows = [
        Conversation(ref=RowRef("a.jsonl", line), messages=(Message(role="user", content=one), MESSAGES[1]))
        for line, one in enumerate(["a", "b", "go", "c"], start=1)
    ]
    with pytest.raises(DataError, match=said):
        list(pool.rows([(0, rows)]))


def test_a_plan_a_run_and_an_audit_refuse_a_hostile_template(tmp_path: Path) -> None:
    model = write_tokenizer(tmp_path / "model", DOUBLING)
    recipe = recipe_of(write_questions(tmp_path / "a.jsonl", 3))
    with pytest.raises(DataError, match="too much memory"):
        survey(recipe, model, 512)
    with pytest.raises(DataError, match="too much memory"):
        label_data(recipe, model, 512, lambda *_: None)
    with (
        pytest.raises(DataError, match="too much memory"),
        audit_rows(recipe.data, model, "assistant", None, lambda *_: None) as run,
    ):
        list(run.rows())


def test_batches_come_back_in_their_order(tmp_path: Path, pool: RenderPool) -> None:
    pool.load(program(CHATML, tmp_path))
    batches = [(number, [turns(("user", str(number)), ("assistant", "ok"))] * (number % 3)) for number in range(40)]
    for number, (tag, rows) in enumerate(pool.rows(batches)):
        assert tag == number
        assert len(rows) == number % 3
        assert all(not isinstance(row, BadRow) and f"user\n{number}<" in row.text for row in rows)


def test_a_refusal_leaves_the_pool_usable(tmp_path: Path, pool: RenderPool) -> None:
    pool.load(program(INSTRUCT, tmp_path))
    with pytest.raises(DataError, match="roles must alternate"):
        pool.render([MESSAGES[1]])
    assert pool.render([MESSAGES[0]]) == "[INST] Hi [/INST]"


def test_all_processes_share_one_clock(tmp_path: Path) -> None:
    sent = program("{{ strftime_now('%H:%M:%S.%f') }}", tmp_path)
    texts = set()
    for _ in range(2):
        with RenderPool() as pool:
            pool.load(sent)
            texts.add(pool.render([]))
    assert len(texts) == 1


def test_a_pool_that_is_dropped_takes_its_processes_along(tmp_path: Path) -> None:
    before = children()
    pool = RenderPool()
    pool.load(program(CHATML, tmp_path))
    assert children() - before
    del pool
    assert children() <= before


def test_a_renderer_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    text = json.dumps("{% if messages[0].content == 'go' %}" + LOOPS + "{% endif %}")
    (tmp_path / "parent.py").write_text(f"""
from pathlib import Path
from tests.data.test_rendering import Message, RenderPool, program
pool = RenderPool()
pool.load(program({text}, Path({str(tmp_path)!r})))
print(pool._started[0]._process.pid, flush=True)
pool.render([Message(role="user", content="go")])
""")
    parent = subprocess.Popen(
        [sys.executable, str(tmp_path / "parent.py")],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert parent.stdout is not None
    renderer = int(parent.stdout.readline())
    time.sleep(0.1)
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    deadline = time.monotonic() + 20
    while is_running(renderer) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_running(renderer)


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_renderer_sees_no_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    before = children()
    with RenderPool() as pool:
        pool.load(program(CHATML, tmp_path))
        (worker,) = children() - before
        assert "HF_TOKEN" not in Path(f"/proc/{worker}/environ").read_text()


def test_an_answer_builds_only_known_values(tmp_path: Path) -> None:
    path = tmp_path / "answers"
    with path.open("wb") as stream:
        write_frame(stream, RenderedText("ok"))
        write_frame(stream, Path("anything"))  # type: ignore[arg-type]
    with path.open("rb") as stream:
        assert read_answer(stream) == RenderedText("ok")
        with pytest.raises(pickle.UnpicklingError, match="an answer names pathlib"):
            read_answer(stream)


def test_a_renderer_imports_nothing_slow() -> None:
    names = "numpy", "tokenizers", "pydantic", "torch"
    code = f"import sys, tui_tuner.data.rendering.worker; print([n for n in {names} if n in sys.modules])"
    assert run(code).strip() == "[]"


def run(code: str) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    ).stdout
