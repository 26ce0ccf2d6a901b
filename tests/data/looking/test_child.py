import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.data.looking.material import request_of, tokenizer_folder
from tui_tuner.data.looking.child import MOST_LOOKS, LookProcess, forget_old_looks, is_complete
from tui_tuner.data.looking.files import LookState, read_state, write_state
from tui_tuner.data.looking.look import Look
from tui_tuner.data.looking.request import look_key
from tui_tuner.data.looking.token_reader import TokenReader
from tui_tuner.errors import DataError


def _wait(holds: Callable[[], object], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_process_writes_a_whole_look(tmp_path: Path) -> None:
    process = LookProcess(tmp_path / "look", request_of(tmp_path))
    _wait(lambda: not process.is_running)
    process.settle()
    assert is_complete(tmp_path / "look") and Look(tmp_path / "look").num_rows == 10


def test_the_process_ends_with_the_one_that_started_it(tmp_path: Path) -> None:
    process = LookProcess(tmp_path / "look", request_of(tmp_path))
    child: subprocess.Popen[bytes] = process._process
    assert child.stdin is not None
    child.stdin.close()  # what the kernel does when the parent dies
    assert child.wait(20) == 1
    process.end()


def test_a_process_that_dies_without_a_word_is_a_failure(tmp_path: Path) -> None:
    process = LookProcess(tmp_path / "look", request_of(tmp_path))
    process.end()
    process.settle()
    state = read_state(tmp_path / "look")
    assert state is not None and state.stage == "failed" and not is_complete(tmp_path / "look")


def test_what_is_wrong_with_the_data_is_in_the_state(tmp_path: Path) -> None:
    request = request_of(tmp_path)
    (tmp_path / "rows.jsonl").unlink()
    process = LookProcess(tmp_path / "look", request)
    _wait(lambda: not process.is_running)
    process.settle()
    state = read_state(tmp_path / "look")
    assert state is not None and "does not exist" in state.message


def test_another_file_or_template_is_another_look(tmp_path: Path) -> None:
    request = request_of(tmp_path)
    before = look_key(request)
    assert look_key(request) == before
    (tmp_path / "rows.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')
    assert look_key(request) != before
    plain = request.model_copy(update={"data": request.data.model_copy(update={"chat_template": "plain"})})
    assert look_key(plain) != look_key(request)


def test_few_looks_are_kept_and_the_present_one_among_them(tmp_path: Path) -> None:
    for number in range(MOST_LOOKS + 3):
        (tmp_path / str(number)).mkdir()
        write_state(tmp_path / str(number), LookState(stage="done"))
    forget_old_looks(tmp_path, "0")
    names = {one.name for one in tmp_path.iterdir()}
    assert len(names) == MOST_LOOKS and "0" in names


def test_a_reader_says_what_tokens_stand_for(tmp_path: Path) -> None:
    folder = tokenizer_folder(tmp_path)
    reader = TokenReader(folder)
    texts = reader.texts([258, 39, 40])
    assert texts[0] == "<|im_start|>" and len(texts) == 3
    reader.close()
    assert reader.texts([259]) == ["<|im_end|>"]
    reader.close()


def test_a_tokenizer_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    reader = TokenReader(tmp_path)
    with pytest.raises(DataError, match="cannot be shown"):
        reader.texts([1])
    reader.close()
