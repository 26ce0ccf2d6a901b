"""Numbers as people read them: units always, three significant digits, thousands commas."""

import math
import time

GIB = 2**30


def count(number: int) -> str:
    return f"{number:,}"


def counted(number: int, noun: str) -> str:
    """ "1 step", "1,200 steps"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def short_count(number: int) -> str:
    """8030261248 is "8.03 B"."""
    for limit, unit in ((1e9, "B"), (1e6, "M"), (1e4, "k")):
        if number >= limit:
            return f"{_three_digits(number / (1e3 if unit == 'k' else limit))} {unit}"
    return f"{number:,}"


def memory(size: int) -> str:
    """Memory in binary units, as GPUs are sold: "5.31 GiB"."""
    return _sized(size, 1024, ("B", "KiB", "MiB", "GiB", "TiB"))


def file_size(size: int) -> str:
    """Files in decimal units, as hubs and disks show them: "168 MB"."""
    return _sized(size, 1000, ("B", "kB", "MB", "GB", "TB"))


def loss(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}" if math.isfinite(value) else str(value)


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def rate(value: float) -> str:
    """A learning rate: "2e-4", "1.35e-5"."""
    digits, exponent = f"{value:.2e}".split("e")
    return f"{digits.rstrip('0').rstrip('.')}e{int(exponent)}" if value else "0"


def speed(tokens_per_second: float) -> str:
    return f"{tokens_per_second:,.0f} tok/s"


def duration(seconds: float) -> str:
    """ "0.4 s", "14 s", "3 m 14 s", "2 h 05 m"."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} m {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} m"


def clock(moment: float) -> str:
    """Local date and time, to the minute."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(moment))


def ago(moment: float, now: float) -> str:
    """How long since, in the largest unit: "3 m", "2 d"."""
    seconds = max(0.0, now - moment)
    for length, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= length:
            return f"{int(seconds // length)} {unit} ago"
    return "now"


def _sized(size: int, base: int, units: tuple[str, ...]) -> str:
    value = float(size)
    for unit in units:
        if value < 999.5 or unit == units[-1]:
            return f"{value:.0f} {unit}" if unit == "B" else f"{_three_digits(value)} {unit}"
        value /= base
    raise AssertionError("the last unit always returns")


def _three_digits(value: float) -> str:
    return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f}"
