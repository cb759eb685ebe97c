"""The child's side of the channel: one answer per command, `progress` in between.

Run as `python -m harness.worker.serve FD PARENT_PID` where workers are spawned.
"""

import contextlib
import os
import socket
import sys
import traceback

from harness import units
from harness.worker import processes, resources, user_errors
from harness.worker.channel import COMMANDS, Channel, ChannelClosed
from harness.worker.commands import Commands
from harness.workloads import redirect


def serve(channel: Channel) -> int:
    """Answer commands until the parent ends; each may say `traceback`: `short` or `full`.

    The exit code is 1 after a failure, which is reported.
    """
    for stream in (sys.stdout, sys.stderr):  # a model may print what the locale cannot write
        with contextlib.suppress(Exception):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    commands = Commands(channel)
    style: user_errors.Style = "short"
    try:
        while True:
            message = channel.receive()
            command, style = message.pop("command"), message.pop("traceback", style)
            if command not in COMMANDS:
                raise ValueError(f"no command {command!r}")
            channel.send(event="answer", **getattr(commands, command)(**message))
    except ChannelClosed:
        return 0
    except (Exception, SystemExit) as error:  # whatever a user's model does is a result
        printed = _log_bytes()
        traceback.print_exc()  # all of it, into the log
        kind, text, rss = user_errors.kind(error), user_errors.one_line(error), None
        if kind == "oom" and not commands.on_gpu:
            rss = resources.status_bytes("VmRSS")
            if commands.most_bytes is not None:
                limit = units.mebibytes(commands.most_bytes)
                text += f" ({units.mebibytes(rss)} were in use, {limit} were allowed)"
                rss = None
        failure = {"kind": kind, "message": text, "rss_bytes": rss, "log_bytes": printed}
        with contextlib.suppress(ChannelClosed):
            channel.send(event="failed", **failure, trace=user_errors.trace(error, style))
        return 1


def _log_bytes() -> int:
    """Length of the log with what the user's code has printed."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # the user's code may have closed or replaced it
            stream.flush()
    with contextlib.suppress(OSError):
        return os.fstat(2).st_size
    return 0


def main(argv: list[str]) -> int:
    """Serve as a spawned worker."""
    processes.die_with_parent(int(argv[1]))
    redirect.begin()
    return serve(Channel(socket.socket(fileno=int(argv[0]))))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
