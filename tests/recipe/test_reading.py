"""A recipe is right, or every problem of it is told at once with its path, its value and what is allowed."""

from pathlib import Path

import pytest

from tui_tuner.errors import RecipeError
from tui_tuner.recipe import parse_recipe, read_recipe

SMALLEST = '[model]\nsource = "m"\n[[data.sources]]\npath = "train.jsonl"\n'


def problems(text: str, *overrides: str) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(text, overrides)
    return [str(problem) for problem in caught.value.problems]


def problem(text: str, *overrides: str) -> str:
    (only,) = problems(text, *overrides)
    return only


def test_the_smallest_recipe_is_filled_with_defaults() -> None:
    recipe = parse_recipe(SMALLEST)
    assert (recipe.adapter.rank, recipe.training.epochs, recipe.data.sources[0].shape) == (16, "auto", "auto")


def test_an_empty_recipe_lacks_model_and_data() -> None:
    assert problems("") == ["model: is required: The base model.", "data: is required: What it learns from."]


def test_all_problems_come_together() -> None:
    text = SMALLEST + '[adapter]\nrank = 0\nalpah = 3\n[training]\nepochs = "two"\n[optimiser]\nname = "adamw"\n'
    assert [one.split(":")[0] for one in problems(text)] == [
        "adapter.rank",
        "adapter.alpah",
        "training.epochs",
        "optimiser",
    ]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("[adapter]\nalpah = 3", 'adapter.alpah: no such field; did you mean "alpha"?'),
        ("[optimiser]\nx = 1", 'optimiser: no such field; did you mean "optimizer"?'),
        (
            "[acceleration]\nzzz = 1",
            "acceleration.zzz: no such field; known are device, threads, kernels, recompute, vram",
        ),
        ("[adapter]\nrank = 0", "adapter.rank: is 0; allowed: a whole number from 1 to 1,024"),
        ("[adapter]\nrank = 8.5", "adapter.rank: is 8.5; allowed: a whole number from 1 to 1,024"),
        ("[adapter]\nrank = true", "adapter.rank: is true; allowed: a whole number from 1 to 1,024"),
        ('[adapter]\nrank = "16"', 'adapter.rank: is "16"; allowed: a whole number from 1 to 1,024'),
        ("[adapter]\ndropout = 1.0", "adapter.dropout: is 1.0; allowed: a number from 0 to below 1"),
        ("[adapter]\nalpha = nan", "adapter.alpha: is NaN; allowed: a finite number above 0"),
        ("[adapter]\nalpha = inf", "adapter.alpha: is Infinity; allowed: a finite number above 0"),
        ('[adapter]\ntargets = "q_proj"', 'adapter.targets: is "q_proj"; allowed: a list of texts in quotes or "auto"'),
        ("[adapter]\ntargets = []",
         'adapter: targets is an empty list; name at least one module or write targets = "auto"'),
        ("[adapter]\nlayers = [-1]", 'adapter.layers: is [-1]; allowed: a list of whole numbers from 0 or "all"'),
        ("[optimizer]\nlearning_rate = 2",
         'optimizer.learning_rate: is 2; allowed: a number above 0 and below 1 or "auto"'),
        ("[model.more]\nx = 1", "model.more: no such field; known are source, revision, adapter, quantization, dtype, "
         "name_mapping, remote_code"),
        ("[training]\nepochs = 2\nmax_steps = 3", "training: epochs and max_steps are both set; keep one"),
        ("[training]\ntokens_per_step = 9\ngradient_accumulation = 2",
         "training: gradient_accumulation and tokens_per_step are both set; keep one"),
        ("[output]\nname = 2026-08-01",
         "file: holds a value that no field takes: 2026-08-01 is a date or a time; put it in quotes if it is "
         "meant as a text"),
    ],
)  # fmt: skip
def test_a_wrong_field_says_what_is_allowed(lines: str, message: str) -> None:
    assert problem(f"{SMALLEST}{lines}\n") == message


def test_a_word_that_is_nearly_right_gets_a_suggestion() -> None:
    text = SMALLEST + '[adapter]\nvariant = "rslorra"\n'
    assert problem(text).endswith('allowed: "lora", "rslora", "dora" or "rslora+dora"; did you mean "rslora"?')


def test_a_run_name_says_which_characters_it_takes() -> None:
    assert "letters, digits, '.', '_' and '-'" in problem(SMALLEST, 'output.name="../x"')


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ('[[data.sources]]\npth = "a"', ["data.sources[0].path", "data.sources[0].pth"]),
        ('[[data.sources]]\npath = "a"\nweight = "x"\n[[data.sources]]\npath = ""',
         ["data.sources[0].weight", "data.sources[1].path"]),
        ('[data]\nsources = ["a.jsonl"]', ["data.sources[0]"]),
        ('[data]\nsources = "a.jsonl"', ["data.sources"]),
        ("[data]\nsources = []", ["data.sources"]),
        ('[[data.sources]]\npath = "a"\ncolumns = {prompt = 1}', ["data.sources[0].columns"]),
    ],
)  # fmt: skip
def test_problems_of_sources_have_the_place_of_the_source(text: str, paths: list[str]) -> None:
    assert [one.split(":")[0] for one in problems(f'[model]\nsource = "m"\n{text}\n')] == paths


def test_a_section_that_is_no_table_says_how_to_write_one() -> None:
    assert problems("model = 3\ndata = []")[0] == "model: is 3; a table is expected, written as [model]"


@pytest.mark.parametrize(
    "text", ["[model", "=", '"', "x = 1\nx = 2", "a = " + "[" * 5000, "a." * 2_000 + "b = 1", "\x00", "x = 1__0"]
)
def test_what_is_no_recipe_is_a_problem_of_the_file(text: str) -> None:
    assert problem(text).startswith("file: ")


def test_overrides_win_over_the_file_and_make_missing_sections() -> None:
    recipe = parse_recipe(
        SMALLEST,
        ["adapter.rank=8", "adapter.targets=['q_proj']", "model.source=other/model", "data.sources[0].weight=2.5"],
    )
    assert (recipe.adapter.rank, recipe.adapter.targets, recipe.model.source) == (8, ("q_proj",), "other/model")
    assert (recipe.data.sources[0].path, recipe.data.sources[0].weight) == ("train.jsonl", 2.5)


def test_overrides_alone_may_make_a_recipe() -> None:
    assert parse_recipe("", ["model.source=m", "data.sources[0].path=a.jsonl"]).data.sources[0].path == "a.jsonl"


@pytest.mark.parametrize(
    "override", ["adapter.rank", "rank=8", "=8", ".rank=8", "adapter..rank=8", "adapter.=8", "a b.c=1", ""]
)
def test_an_override_without_section_field_and_value_is_refused(override: str) -> None:
    assert "is not section.field=value" in problem(SMALLEST, override)


def test_an_override_is_checked_like_the_file() -> None:
    assert problems(SMALLEST, "adapter.rnk=8", "training.epochs=-1") == [
        'adapter.rnk: no such field; did you mean "rank"?',
        'training.epochs: is -1; allowed: a number above 0 and at most 1,000 or "auto"',
    ]


@pytest.mark.parametrize("override", ["data.sources[3].path=a", "model.source.x=1", "data.sources.path=a", "data[0]=1"])
def test_an_override_through_a_value_is_refused(override: str) -> None:
    assert "there is no" in problem(SMALLEST, override)


def test_an_argument_that_is_not_utf8_is_refused() -> None:
    assert "is not UTF-8" in problem(SMALLEST, "model.source=\udcff")


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_bytes(b"\xef\xbb\xbf" + SMALLEST.encode())
    assert read_recipe(tmp_path / "r.toml").model.source == "m"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "does not exist"),
        (b"\xff\xfe", "is not UTF-8 (byte 0)"),
        (b"#" * 1_000_001, "is larger than 1,000,000 bytes; this is not a recipe"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(content: bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RecipeError) as caught:
        read_recipe(path)
    assert (str(caught.value.problems[0]), caught.value.source) == (f"file: {message}", str(path))


def test_a_folder_is_not_a_recipe(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="is a folder; name the"):
        read_recipe(tmp_path)


def test_a_file_without_end_is_not_read_to_its_end() -> None:
    with pytest.raises(RecipeError, match="is larger than"):
        read_recipe(Path("/dev/zero"))
