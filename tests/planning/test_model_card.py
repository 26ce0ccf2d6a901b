from pathlib import Path

import pytest

from tui_tuner.planning.model_card import read_licence


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        ("---\nlicense: apache-2.0\n---\n# x", "apache-2.0"),
        ("---\ntags:\n- license: no\nlicense: 'mit'\n---\n", "mit"),
        ("---\nlicense: other\nlicense_name: qwen-research\n---\n", "qwen-research"),
        ("# license: mit\n", ""),
        ("---\nlicense: mit\nnever closed", ""),
        ("", ""),
    ],
)
def test_the_licence_is_read_from_the_front_matter_alone(card: str, licence: str, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(card)
    assert read_licence(tmp_path) == licence


def test_a_model_without_a_card_names_no_licence(tmp_path: Path) -> None:
    assert read_licence(tmp_path) == ""
