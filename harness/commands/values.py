"""Parsers of one value that a user typed; an error is one line that says what is wrong."""

import difflib
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
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise BadCase(f"{text!r} is not a whole number from 1")
    return value


def positive(text: str) -> float:
    """Read a number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise BadCase(f"{text!r} is not a number above 0")
    return value


def checked(check: Callable[[str], object]) -> Callable[[str], str]:
    """Return a parser of text that `check` accepts."""

    def parse(text: str) -> str:
        check(text)
        return text

    return parse


def named(name: str, parse: Callable[[str], Any], text: str) -> Any:
    """Parse text; an error begins with the option's name.

    Raises:
        HarnessError: the text cannot be used.
    """
    try:
        return parse(text)
    except HarnessError as error:
        raise type(error)(f"{name}: {error}") from error
