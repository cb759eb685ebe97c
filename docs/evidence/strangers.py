"""How long a host of a job needs to come in while strangers knock at the first host's port.

Run as `python docs/evidence/strangers.py`: for each try, 200 connections that are silent or send
random bytes, or a message of a host with a wrong seal, then one host that knows the secret. Prints
the time from its first attempt until it is in, and what the strangers have reached.
"""

import argparse
import contextlib
import random
import socket
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from harness.measure.hosts.about import this_host
from harness.measure.hosts.discovery import Hosts
from harness.measure.hosts.door import Door
from harness.measure.hosts.follow import follow

STRANGERS = 200


class NoLauncher:
    """Counts the workers that it is asked for."""

    started = 0

    def start(self, case: Any, timeout: float) -> Any:
        self.started += 1
        raise AssertionError((case, timeout))


def texts(rng: random.Random) -> list[bytes]:
    """What the strangers say: a third each of nothing, random bytes, and a host's words."""
    join = b'{"what": "join", "rank": 1, "host": {}}\n'
    kinds = (b"", None, b"\0" * 32 + b"0" * 64 + join)
    found = [kinds[number % 3] for number in range(STRANGERS)]
    return [rng.randbytes(rng.randrange(1, 300_000)) if one is None else one for one in found]


def tried(rng: random.Random, launcher: NoLauncher) -> float:
    """Seconds until the host is in."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    first, second = (Hosts(rank, 2, "127.0.0.1", port, "this script") for rank in (0, 1))
    with (
        tempfile.TemporaryDirectory() as folder,
        Door.open(first, Path(folder), this_host(), 30.0) as door,
    ):
        strangers = [socket.create_connection(("127.0.0.1", port)) for _ in range(STRANGERS)]
        for sock, text in zip(strangers, texts(rng), strict=True):
            threading.Thread(target=_say, args=(sock, text), daemon=True).start()
        begin = time.monotonic()
        arguments = (second, Path(folder), this_host(), launcher, 30.0)
        member = threading.Thread(target=follow, args=arguments)
        member.start()
        door.wait(30.0)
        seconds = time.monotonic() - begin
        for sock in strangers:
            sock.close()
    member.join()
    return seconds


def _say(sock: socket.socket, text: bytes) -> None:
    with contextlib.suppress(OSError):  # the first host has closed the connection
        sock.sendall(text)


def main() -> None:
    """Try some times, and print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tries", type=int, default=20)
    launcher, rng = NoLauncher(), random.Random(7)  # noqa: S311
    seconds = [tried(rng, launcher) for _ in range(parser.parse_args().tries)]
    print(
        f"{STRANGERS} strangers, {len(seconds)} tries: the host was in after "
        f"{statistics.median(seconds):.2f} s (longest {max(seconds):.2f} s); every run went on, "
        f"workers started for strangers: {launcher.started}"
    )


if __name__ == "__main__":
    main()
