"""Smooths a noisy curve for the eye; the raw one stays beside it."""

import math
from collections.abc import Sequence

STRENGTHS = (0.0, 0.6, 0.8, 0.9, 0.95, 0.98)


def smoothed(points: Sequence[tuple[float, float]], strength: float) -> list[tuple[float, float]]:
    """Exponential moving average with the start corrected (Kingma and Ba 2014, section 3); 0 changes nothing.

    Points that are not finite are left out and do not count.
    """
    average, weight, result = 0.0, 0.0, []
    for x, y in points:
        if not math.isfinite(y):
            continue
        average = strength * average + (1.0 - strength) * y
        weight = strength * weight + (1.0 - strength)
        result.append((x, average / weight))
    return result
