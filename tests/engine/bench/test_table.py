"""Rows and tables of a comparison: ratios, Markdown, and what a second run replaces."""

from pathlib import Path

from tui_tuner.engine.bench.peers.outside.peer_runner.job import Answer, Recompute, Way
from tui_tuner.engine.bench.peers.setting import Variant
from tui_tuner.engine.bench.peers.table import CaseTable, SystemRow, markdown, merged, read_tables, tables_json
from tui_tuner.engine.bench.peers.turns import Turns, rows_of


def turns(
    system: str, seconds: float, *, way: Way = "in order", recompute: Recompute = "off", fault: str = ""
) -> Turns:
    answer = Answer(status="done", check_loss=2.0, seconds=(seconds,) * 3, tokens=(100,) * 3, padded_tokens=(150,) * 3)
    variant = Variant(system, way, recompute, f"{system}, {way}, {recompute}")
    return Turns(variant, [answer], cosine=1.0, fault=fault)


def table(*rows: SystemRow, case: str = "one") -> CaseTable:
    return CaseTable(case=case, words="A setting", device_name="GPU", moment="now", rows=rows)


def test_each_row_of_theirs_is_compared_with_each_of_ours() -> None:
    rows = rows_of([turns("tuner", 1.0), turns("tuner", 2.0, recompute="offload"), turns("hf", 4.0)], limit=200.0)
    assert rows[2].ratios == {"tuner, in order, off": 4.0, "tuner, in order, offload": 2.0}
    assert [row.share_of_limit for row in rows] == [0.5, 0.25, 0.125]
    assert rows[0].ratios == {}


def test_the_fastest_of_several_ways_is_marked() -> None:
    rows = rows_of([turns("tuner", 1.0), turns("hf", 4.0), turns("hf", 2.0, way="packed")], limit=None)
    assert [row.is_fastest_way for row in rows] == [False, False, True]


def test_a_wrong_result_has_no_speed_and_no_ratio() -> None:
    row = rows_of([turns("tuner", 1.0), turns("hf", 0.1, fault="its loss is 9")], limit=100.0)[1]
    assert (row.status, row.reason) == ("wrong", "its loss is 9")
    assert row.tokens_per_second is None and row.ratios == {} and row.loss == 2.0


def test_a_peer_that_is_not_there_says_how_to_get_it() -> None:
    absent = Turns(Variant("unsloth", "in order", "off", "Unsloth"), [Answer(status="absent", reason="No module")])
    row = rows_of([absent], limit=None)[0]
    assert row.reason == "No module; install it with `pip install unsloth`"


def test_padding_counts_apart() -> None:
    row = rows_of([turns("tuner", 1.0)], limit=None)[0]
    assert (row.tokens_per_second, row.padded_tokens_per_second) == (100, 150)


def test_markdown_has_a_column_for_each_ratio() -> None:
    rows = rows_of([turns("tuner", 1.0), turns("hf", 2.5)], limit=200.0)
    lines = markdown(table(*rows)).splitlines()
    assert "| tuner, in order, off is |" in lines[4]
    assert "| hf, in order, off | 40 | 2,500.0 | 2.50 x | 20 % |" in lines[7]


def test_what_a_peer_says_cannot_break_the_table() -> None:
    row = SystemRow(system="hf", status="failed", reason="a | b\nc")
    assert "failed: a / b c |" in markdown(table(row))


def test_longest_contexts_have_a_table_of_their_own() -> None:
    text = markdown(table(SystemRow(system="tuner", status="done", longest=78_475, peak_bytes=23 * 2**30)))
    assert "| tuner | 78,475 | 23.00 |" in text


def test_a_case_that_is_measured_again_replaces_itself(tmp_path: Path) -> None:
    old = (table(case="one"), table(case="two"))
    new = table(SystemRow(system="tuner", status="done"), case="one")
    (tmp_path / "peers.json").write_text(tables_json(merged(old, new)))
    assert read_tables(tmp_path / "peers.json") == (new, old[1])


def test_a_table_with_unknown_fields_is_read(tmp_path: Path) -> None:
    content = tables_json((table(),)).replace('"case"', '"from another version": 1, "case"')
    (tmp_path / "peers.json").write_text(content)
    assert read_tables(tmp_path / "peers.json") == (table(),)
