import pytest

from tui_tuner.planning.name_mapping import decide_name, pre_quantised_names, sixteen_bit_names
from tui_tuner.recipe import ModelSection

ORIGINAL = "meta-llama/Llama-3.1-8B-Instruct"
MIRROR = "unsloth/Meta-Llama-3.1-8B-Instruct"
FOUR_BIT = "unsloth/Meta-Llama-3.1-8B-Instruct-bnb-4bit"

# typed, quantization, in the cache, loaded
CASES = [
    (FOUR_BIT, "none", (), ORIGINAL),
    (FOUR_BIT, "none", (MIRROR,), MIRROR),
    (FOUR_BIT, "nf4", (), FOUR_BIT),
    (FOUR_BIT, "auto", (ORIGINAL,), ORIGINAL),
    (FOUR_BIT, "auto", (FOUR_BIT, ORIGINAL), FOUR_BIT),
    (ORIGINAL, "auto", (), ORIGINAL),
    (ORIGINAL, "auto", (MIRROR,), MIRROR),
    (ORIGINAL, "auto", (FOUR_BIT,), ORIGINAL),
    (ORIGINAL, "nf4", (FOUR_BIT,), FOUR_BIT),
    (ORIGINAL, "none", (FOUR_BIT,), ORIGINAL),
    ("someone/odd-bnb-4bit", "none", (), "someone/odd"),
]


@pytest.mark.parametrize(("typed", "quantization", "cached", "loaded"), CASES)
def test_a_name_is_swapped_only_where_needed(
    typed: str, quantization: str, cached: tuple[str, ...], loaded: str
) -> None:
    section = ModelSection.model_validate({"source": typed, "quantization": quantization})
    decision = decide_name(section, cached)
    assert (decision.typed, decision.loads, decision.is_swapped) == (typed, loaded, typed != loaded)
    assert decision.reason


def test_mapping_off_loads_what_was_typed() -> None:
    section = ModelSection(source=FOUR_BIT, quantization="none", name_mapping="off")
    assert decide_name(section, (ORIGINAL,)).loads == FOUR_BIT


def test_a_revision_pins_what_was_typed() -> None:
    section = ModelSection(source=ORIGINAL, revision="abc")
    assert decide_name(section, (MIRROR,)).loads == ORIGINAL


def test_twins_are_found_whatever_the_case() -> None:
    assert ORIGINAL in sixteen_bit_names(FOUR_BIT.lower())
    assert FOUR_BIT in pre_quantised_names(ORIGINAL)


def test_a_name_is_never_its_own_alternative() -> None:
    for name in (ORIGINAL, MIRROR, FOUR_BIT):
        assert name not in (*sixteen_bit_names(name), *pre_quantised_names(name))
