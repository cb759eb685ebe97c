"""Parsers of one value that a user typed; an error is one line that says what is wrong."""

import contextlib
import difflib
import math
from collections.abc import Callable, Mapping
from typing import Any

from harness.errors import BadCase, HarnessError


def one_of(known: Mapping[str, object]) -> Callable[[str], str]:
    """Return a parser of a known name, which says what is near an unknown one."""

    def parse(text: str) -> str:
        if text in known:
            return text
        near = difflib.get_close_matches(text, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
        raise BadCase(f"no {text!r}; {hint}")

    return parse


def list_of(parse: Callable[[str], Any]) -> Callable[[str], tuple[Any, ...]]:
    """Return a parser of values that commas part."""
    return lambda text: tuple(parse(part.strip()) for part in text.split(",") if part.strip())


def count(text: str) -> int:
    """Read a whole number from 1."""
    return int(_above_zero(int, text, "a whole number from 1"))


def positive(text: str) -> float:
    """Read a number above 0."""
    return _above_zero(float, text, "a number above 0")


def _above_zero(kind: Callable[[str], float], text: str, what: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 < (value := kind(text)) < math.inf:
            return value
    raise BadCase(f"{text!r} is not {what}")


def checked(check: Callable[[str], object]) -> Callable[[str], str]:
    """Return a parser of text that `check` accepts."""

    def parse(text: str) -> str:
        check(text)
        return text

    return parse


def named(name: str, parse: Callable[[str], Any], text: str) -> Any:
    """Parse text; the HarnessError of text that cannot be used begins with the option's name."""
    try:
        return parse(text)
    except HarnessError as error:
        raise type(error)(f"{name}: {error}") from error


def percent(text: str) -> float:
    """Read `5`, `5%` or `5 %` as the share 0.05; `0.05` without a sign may be meant otherwise."""
    try:
        number = float(text.strip().removesuffix("%").strip())
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise BadCase(f"{text!r} is no percentage such as 5%")
    if number < 1 and "%" not in text:
        whole = f"{number:g} % or {100 * number:g} %: write {number:g}% or {100 * number:g}%"
        raise BadCase(f"{text} may be {whole}")
    return number / 100


def share(text: str) -> float:
    """Read a share of a whole."""
    if (value := positive(text)) > 1:
        raise BadCase(f"{text!r} is not a share, above 0 and up to 1")
    return value


def flag(text: str) -> bool:
    """Read whether something is wanted."""
    return text.lower() in ("true", "1", "yes", "on")


def variables(text: str) -> tuple[tuple[str, str], ...]:
    """Read a variable per line."""
    found = dict[str, str]()
    for line in text.splitlines():
        name, sign, value = line.strip().partition("=")
        if not sign or not name:
            raise BadCase(f"{line!r} is not NAME=VALUE")
        found[name] = value
    return tuple(found.items())
