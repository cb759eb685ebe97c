"""A console over pytest's terminal, which also prints while pytest captures a test's output."""

import contextlib
import shutil
import sys
from typing import IO, TYPE_CHECKING, cast

import pytest

if TYPE_CHECKING:
    from rich.console import Console


def console(config: pytest.Config) -> "Console":
    """Make the console for progress; the terminal's size and kind are unknown in a test."""
    from rich.console import Console

    with _uncaptured(config):
        size, terminal = shutil.get_terminal_size(), sys.stdout.isatty()
    return Console(
        file=cast("IO[str]", _Terminal(config)),
        width=size.columns,
        height=size.lines,
        force_terminal=terminal,
        soft_wrap=True,
        emoji=False,
    )


def _uncaptured(config: pytest.Config) -> contextlib.AbstractContextManager[None]:
    """Suspend pytest's capture of output."""
    capture = config.pluginmanager.getplugin("capturemanager")
    return contextlib.nullcontext() if capture is None else capture.global_and_fixture_disabled()


class _Terminal:
    """A file that writes to pytest's terminal."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def write(self, text: str) -> int:
        self._through("write", text)
        return len(text)

    def flush(self) -> None:
        self._through("flush")

    def _through(self, method: str, *arguments: str) -> None:
        reporter = self._config.pluginmanager.getplugin("terminalreporter")
        if reporter is None:
            return
        with _uncaptured(self._config):
            reporter.ensure_newline()  # pytest's dots stand on a line of their own
            getattr(reporter._tw._file, method)(*arguments)  # noqa: SLF001
