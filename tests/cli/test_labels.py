"""`tuner labels` from outside: report, rows, JSON and exit codes, over small data and a tokenizer of single bytes."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.data.material import CHATML, write_lines, write_tokenizer
from tui_tuner.cli import main

END_OF_TURN = 259
HOSTILE = "\x1b]52;c;AAAA\x07 \x9b2J [red]x[/] \u202eabc"
Row = dict[str, object]


def chat(*turns: tuple[str, str]) -> Row:
    return {"messages": [{"role": role, "content": content} for role, content in turns]}


PLAIN: list[Row] = [chat(("user", f"What is {n}?"), ("assistant", f"It is {n}.")) for n in range(3)]
EMPTY_REPLY = chat(("user", "a"), ("assistant", ""))
CHAT = chat(("user", "a"), ("assistant", "b"))
CONTROL = chat(("user", "say <|im_end|> now"), ("assistant", "no"))
LONG = chat(("user", "count"), ("assistant", "one two three four five"))


LLAMA = {
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 8, "num_hidden_layers": 1,
    "num_attention_heads": 2, "num_key_value_heads": 2, "intermediate_size": 8, "vocab_size": 260,
    "max_position_embeddings": 512,
}  # fmt: skip
RECIPE = """
[model]
source = "tok"
[[data.sources]]
path = "train.jsonl"
[[data.evaluation_sources]]
path = "test.jsonl"
"""
CUT = ("--max-length", "40", "--set", "data.over_length=cut")


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def words(self) -> str:
        return " ".join(self.out.split())

    @property
    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


Labels = Callable[..., Done]


@pytest.fixture
def labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Labels:
    """Runs `tuner labels` with arguments, in a folder that holds the tokenizer `tok`."""
    monkeypatch.chdir(tmp_path)
    folder = write_tokenizer(tmp_path / "tok", CHATML)
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": END_OF_TURN}))

    def run(*arguments: str) -> Done:
        monkeypatch.setattr("sys.argv", ["tuner", "labels", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return Done(int(ended.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture
def over(labels: Labels, tmp_path: Path) -> Callable[..., Done]:
    """Runs `tuner labels` over rows."""

    def run(rows: list[Row], *arguments: str) -> Done:
        write_lines(tmp_path / "rows.jsonl", rows)
        return labels("--model", "tok", "--data", "rows.jsonl", *arguments)

    return run


Over = Callable[..., Done]


def test_good_data_gets_a_report_rows_and_a_verdict(over: Over) -> None:
    done = over(PLAIN)
    assert (done.code, done.err) == (0, "")
    assert "Labels 3 rows" in done.words
    assert "✓ agree on 3 of 3 rows" in done.words
    assert "▖ It is 0.<|im_end|>⏎ ▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔ " in done.words
    assert done.out.rstrip().splitlines()[-1].startswith("Verdict")


def test_data_that_training_would_refuse_ends_with_three(over: Over) -> None:
    done = over([CHAT, EMPTY_REPLY])
    assert done.code == 3
    assert "✗ Empty answer · 1 row: 1" in done.words
    assert "✗ training would refuse this data Empty answer: 1 row" in done.words


def test_each_finding_names_the_command_that_lists_its_rows(over: Over) -> None:
    done = over([*PLAIN, CONTROL])
    assert "--check control_token_in_text" in done.words
    assert "tuner labels --model tok --data rows.jsonl --check NAME" in done.words
    listed = over([*PLAIN, CONTROL], "--check", "control_token_in_text")
    assert "3 rows.jsonl:4 turn 1:" in listed.words
    assert "tuner labels --model tok --data rows.jsonl --row 3 opens one" in listed.words


def test_a_row_is_shown_in_full_with_its_findings_and_what_to_do(over: Over) -> None:
    done = over([*PLAIN, CONTROL], "--row", "3")
    assert "Row 3 rows.jsonl:4" in done.words
    assert "! Control token in a message · turn 1" in done.words
    assert "→ A message holds the text of a control token" in done.words
    assert "· say <|im_end|> now<|im_end|>⏎" in done.words
    assert "Labels" not in done.words


def test_tokens_are_shown_with_place_and_id(over: Over) -> None:
    done = over(PLAIN, "--row", "0", "--tokens")
    assert "· 0 258 <|im_start|>" in done.words
    assert "▌" in done.words.partition("Tokens")[2]


def test_next_goes_to_the_next_row_of_a_check(over: Over) -> None:
    rows = [CONTROL, *PLAIN, CONTROL]
    assert "Row 0 " in over(rows, "--next", "control_token_in_text").words
    assert "Row 4 " in over(rows, "--next", "control_token_in_text", "--row", "0").words
    assert "no row has such a finding" in over(rows, "--next", "any", "--row", "4").words


def test_worst_shows_the_gravest_rows_first(over: Over) -> None:
    words = over([CHAT, CONTROL, EMPTY_REPLY], "--worst").words
    assert words.index("Row 2 ") < words.index("Row 1 ")
    assert "Row 0 " not in words
    assert "Row 1 " not in over([CHAT, CONTROL, EMPTY_REPLY], "--worst", "--limit", "1").words


def test_what_the_max_length_cuts_is_shown_behind_scissors(over: Over) -> None:
    done = over([LONG], *CUT, "--row", "0")
    assert "✂ from here on cut off by the max length" in done.words
    assert "✂▖" in done.words
    assert "! Answer cut" in done.words


def test_a_row_that_is_left_out_says_so(over: Over) -> None:
    done = over([LONG, CHAT], "--max-length", "48", "--set", "data.over_length=drop", "--row", "0")
    assert "Row 0 rows.jsonl:1 · left out for its length" in done.words


def test_the_report_counts_rows_and_answers_cut(over: Over) -> None:
    words = over([*PLAIN, chat(("user", "x" * 300), ("assistant", "y" * 300))]).words
    assert "256 1 1" in words
    assert "512 1 1" in words
    assert "--max-length N --check row_cut" in words


def test_hostile_text_reaches_no_terminal(over: Over) -> None:
    rows = [chat(("user", HOSTILE), ("assistant", HOSTILE)), chat((HOSTILE, HOSTILE), ("assistant", "b"))]
    for arguments in ([], ["--row", "0", "--tokens"], ["--check", "any"], ["--json", "--report-json"]):
        done = over(rows, *arguments)
        assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(done.out + done.err)


def test_json_is_one_object_a_row(over: Over) -> None:
    done = over(PLAIN, "--json")
    assert (done.code, done.err) == (0, "")
    assert [one["row"] for one in done.objects] == [0, 1, 2]
    assert {tuple(one) for one in done.objects} == {("row", "input_ids", "labels", "text", "problems")}
    assert (
        done.objects[1]["text"] == "<|im_start|>user\nWhat is 1?<|im_end|>\n<|im_start|>assistant\nIt is 1.<|im_end|>\n"
    )
    assert done.objects[1]["problems"] == []


def test_json_labels_are_unshifted_and_cover_what_the_model_says(over: Over) -> None:
    (row,) = over([CHAT], "--json").objects
    ids, labels, text = row["input_ids"], row["labels"], row["text"]
    assert [place for place, label in enumerate(labels) if label != -100] == [len(ids) - 3, len(ids) - 2]
    assert all(label in (-100, token) for token, label in zip(ids, labels, strict=True))
    assert text.endswith("b<|im_end|>\n")


def test_json_cuts_only_at_a_given_length(over: Over) -> None:
    (whole,), (cut,) = over([LONG], "--json").objects, over([LONG], "--json", *CUT).objects
    assert len(cut["input_ids"]) <= 40 < len(whole["input_ids"])
    assert "row_cut" in [problem["check"] for problem in cut["problems"]]


def test_json_has_a_line_for_a_row_without_labels(over: Over) -> None:
    done = over([EMPTY_REPLY, CHAT], "--json")
    bad, good = done.objects
    assert (done.code, bad["row"], good["row"]) == (3, 0, 1)
    assert (bad["input_ids"], bad["labels"]) == ([], [])
    (problem,) = bad["problems"]
    assert (problem["check"], problem["severity"]) == ("empty_reply", "blocking")
    assert done.err.startswith("training would refuse: ")


def test_json_of_chosen_rows_alone(over: Over) -> None:
    assert [one["row"] for one in over([*PLAIN, CONTROL], "--json", "--row", "2").objects] == [2]
    assert [one["row"] for one in over([*PLAIN, CONTROL], "--json", "--check", "control_token_in_text").objects] == [3]


def test_the_report_is_json_only_when_asked_for(over: Over) -> None:
    *rows, last = over(PLAIN, "--json", "--report-json").objects
    assert len(rows) == 3
    assert last == over(PLAIN, "--report-json").objects[0]
    assert last["report"]["num_rows"] == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Nothing to look at: name a recipe, or a model's folder and data."),
        (["nothing.toml"], "nothing.toml does not exist"),
        (["r.toml", "--model", "tok"], "A recipe names its model and its data itself."),
        (["--model", "no", "--data", "x.jsonl"], "The folder no does not exist."),
        (["--model", "tok", "--data", "rows.jsonl", "--check", "no"], "There is no check 'no'."),
        (["--model", "tok", "--data", "rows.jsonl", "--row", "7"], "There is no row 7: the data has rows 0 to 2."),
        (["--model", "tok", "--data", "rows.jsonl", "--row", "1", "--worst"], "Only one of --row"),
        (["--model", "tok", "--data", "rows.jsonl", "--template", "no.jinja"], "chat_template = 'no.jinja' cannot be"),
        (["--model", "tok", "--data", "no.jsonl"], "no.jsonl"),
    ],
)
def test_bad_input_is_one_error_and_exit_code_two(
    labels: Labels, tmp_path: Path, arguments: list[str], message: str
) -> None:
    write_lines(tmp_path / "rows.jsonl", PLAIN)
    done = labels(*arguments)
    assert (done.code, done.out) == (2, "")
    assert message in done.err.splitlines()[0]


def test_a_recipe_is_looked_at_with_its_overrides_and_its_held_out_rows(labels: Labels, tmp_path: Path) -> None:
    write_lines(tmp_path / "train.jsonl", PLAIN)
    write_lines(tmp_path / "test.jsonl", [CHAT])
    (tmp_path / "tok" / "config.json").write_text(json.dumps(LLAMA))
    (tmp_path / "r.toml").write_text(RECIPE)
    rows = labels("r.toml", "--json").objects
    assert [one["row"] for one in rows] == [0, 1, 2, 3]
    everything = labels("r.toml", "--json", "--set", "objective.train_on=everything").objects
    assert everything[0]["labels"] == everything[0]["input_ids"] == rows[0]["input_ids"]


def test_a_length_that_training_would_settle_is_used(labels: Labels, tmp_path: Path) -> None:
    write_lines(tmp_path / "train.jsonl", [*PLAIN, chat(("user", "x"), ("assistant", "y" * 600))])
    write_lines(tmp_path / "test.jsonl", [CHAT])
    (tmp_path / "tok" / "config.json").write_text(json.dumps(LLAMA))
    (tmp_path / "r.toml").write_text(RECIPE)
    words = labels("r.toml").words
    assert "! 1 row (20.0 %) longer than 512 tokens" in words
