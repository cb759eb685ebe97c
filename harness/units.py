"""Format SI values for people. The only place where units are chosen."""

import math
import unicodedata

MISSING = "–"

_TURNS = ("0.98", "1.00", "1.02")  # ratios at which a verdict changes
_TIME_UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))


def digits(value: float, significant: int = 3) -> str:
    """Write a number with so many significant digits, without an exponent."""
    if value == 0:
        return "0"
    decimals = max(0, significant - 1 - math.floor(math.log10(abs(value))))
    return f"{value:.{decimals}f}"


def seconds(value: float | None) -> str:
    """Write a duration: `seconds(0.000412) == "412 µs"`."""
    if value is None:
        return MISSING
    if value >= 7200:
        hours, minutes = divmod(round(value / 60), 60)
        return f"{hours} h {minutes:02d} min"
    if value >= 60:
        minutes, rest = divmod(round(value), 60)
        return f"{minutes} min {rest:02d} s"
    for size, name in _TIME_UNITS:
        if value >= size:
            return f"{digits(value / size)} {name}"
    return "0 s" if value == 0 else f"{digits(value / 1e-9)} ns"


def mebibytes(value: float | None) -> str:
    """Write bytes as MiB, or as GiB from 10 GiB on."""
    if value is None:
        return MISSING
    if value >= 10 * 2**30:
        return f"{value / 2**30:.1f} GiB"
    return f"{value / 2**20:.0f} MiB"


def count(value: float | None) -> str:
    """Write a whole number with thin groups of three: `1 199 882`."""
    if value is None:
        return MISSING
    return f"{value:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def ratio(value: float | None) -> str:
    """Write a speedup: `ratio(1.3712) == "1.37×"`."""
    return MISSING if value is None else f"{value:.2f}×"


def ratio_interval(value: float, low: float | None, high: float | None) -> str:
    """Write a speedup with its interval: `1.37× [1.33, 1.41]`.

    An end has a third decimal where two do not tell on which side of 1, or of the margin of a
    verdict, it lies: `1.02× [1.001, 1.04]`.
    """
    interval = "" if low is None or high is None else f" [{_ratio_end(low)}, {_ratio_end(high)}]"
    return f"{value:.2f}×{interval}"


def _ratio_end(value: float) -> str:
    text, more = f"{value:.2f}", f"{value:.3f}"
    return more if text in _TURNS and more != f"{text}0" else text


def duration_interval(value: float, low: float | None, high: float | None) -> str:
    """Write seconds with their interval, in one unit: `12.3 min [11.9, 12.7]`."""
    size, unit = (1.0, "s") if value < 120 else (60.0, "min") if value < 7200 else (3600.0, "h")
    return f"{digits(value / size)} {unit}" + ends(low, high, size)


def ends(low: float | None, high: float | None, size: float = 1.0, significant: int = 3) -> str:
    """Write an interval after its value, in units of that size; nothing where there is none."""
    if low is None or high is None:
        return ""
    return f" [{digits(low / size, significant)}, {digits(high / size, significant)}]"


def percent(value: float | None) -> str:
    """Write a percentage that is already in percent."""
    return MISSING if value is None else f"{value:.0f} %"


def plural(number: int, noun: str) -> str:
    """Write how many: `plural(2, "seed") == "2 seeds"`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def capital(text: str) -> str:
    """Write the first letter as a capital."""
    return f"{text[0].upper()}{text[1:]}"


def printable(text: str) -> str:
    r"""Write characters that would control a terminal as escapes: ESC as `\x1b`.

    Names and messages come from models, logs and strangers' runs. Control characters, line ends
    and marks that turn the direction of text are those of Unicode's categories Cc, Cf, Zl and Zp.
    """
    if text.isprintable():  # nearly all are, and this asks Unicode once
        return text
    return "".join(
        ascii(c)[1:-1] if unicodedata.category(c) in {"Cc", "Cf", "Zl", "Zp", "Cs"} else c
        for c in text
    )
