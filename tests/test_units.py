"""Numbers are shown with a unit and three digits."""

import pytest

from tui_tuner import units


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (units.short_count(999), "999"),
        (units.short_count(9_999), "9,999"),
        (units.short_count(41_943_040), "41.9 M"),
        (units.short_count(8_030_261_248), "8.03 B"),
        (units.memory(0), "0 B"),
        (units.memory(1023), "1.00 KiB"),
        (units.memory(24 * 2**30), "24.0 GiB"),
        (units.file_size(167_832_240), "168 MB"),
        (units.file_size(999_600), "1.00 MB"),
        (units.rate(2e-4), "2e-4"),
        (units.rate(1.354e-5), "1.35e-5"),
        (units.rate(0.0), "0"),
        (units.duration(0.42), "0.4 s"),
        (units.duration(59.6), "1 m 00 s"),
        (units.duration(194), "3 m 14 s"),
        (units.duration(7500), "2 h 05 m"),
        (units.loss(None), "–"),
        (units.loss(float("nan")), "nan"),
        (units.percent(0.0406), "4.1 %"),
        (units.ago(0, 200_000), "2 d ago"),
        (units.ago(100, 90), "now"),
    ],
)
def test_units(shown: str, text: str) -> None:
    assert shown == text
