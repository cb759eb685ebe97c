"""Signals that end a run as Ctrl-C does."""

import os
import signal
import threading

import pytest

from harness import __main__
from harness.commands import interrupts

pytestmark = pytest.mark.usefixtures("signals_as_in_a_terminal")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2])
def test_a_signal_is_an_interrupt_and_is_put_back(number):
    """For as long as a run lasts; the report of a run is not interrupted again."""
    with interrupts.as_interrupts():
        with pytest.raises(KeyboardInterrupt, match=signal.Signals(number).name):
            os.kill(os.getpid(), number)
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(number) == signal.SIG_DFL


@pytest.mark.parametrize(
    ("error", "resume", "line"),
    [
        (
            KeyboardInterrupt(),
            None,
            "Interrupted: the same command with --resume measures",
        ),
        (KeyboardInterrupt("SIGTERM"), "auto", "Interrupted by SIGTERM: the same command measures"),
    ],
)
def test_the_last_line_says_how_to_go_on(error, resume, line):
    """A command that goes on by itself is the same one."""
    assert interrupts.to_resume(error, "--resume", resume).startswith(line)


def test_a_signal_does_not_interrupt_the_writing_of_a_report():
    """What was measured is worth the seconds."""
    with interrupts.as_interrupts():
        interrupts.no_more()
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_signal_that_is_ignored_stays_so():
    """Under nohup a run goes on."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interrupts.as_interrupts():
            os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_another_thread_changes_nothing():
    """Handlers belong to the main thread."""
    seen = []

    def look():
        with interrupts.as_interrupts():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [signal.SIG_DFL]
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_an_interrupt_during_an_import_is_an_exit_code(monkeypatch):
    """Without a traceback: no command handles interrupts yet."""

    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr("harness.commands.parser.main", interrupted)
    monkeypatch.setattr("gc.freeze", lambda: None)
    with pytest.raises(SystemExit) as ended:
        __main__.run()
    assert ended.value.code == 130
