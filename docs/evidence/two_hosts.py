"""Two hosts on one machine: network namespaces, joined by a link of a given delay and bandwidth.

Needs root and Linux's `ip` and `tc`. Run as `python docs/evidence/two_hosts.py --links wire 1gbit
100mbit relay 5ms`; it prints, for each link, what the suite says of two processes against one: the
losses after equal steps, and the share of communication. `wire` is a pair of virtual Ethernet
devices, a rate limits it (token bucket); `relay` is a process that hands packets on, and a delay
lets each wait there, since not every kernel can delay them. `--kill` ends the second one in mid-run
and prints how long the first one needs to say so.
"""

import argparse
import csv
import ctypes
import fcntl
import multiprocessing
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ADDRESSES = ("10.77.0.1", "10.77.0.2")
NAMES = ("host0", "host1")
SUITE = Path(__file__).parents[2] / "suites" / "test_scaling.py"


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)  # noqa: S607


@contextmanager
def namespaces(link: str) -> Iterator[None]:
    """Two of them, each of which finds its own address by this machine's name.

    Args:
        link: See above.
    """
    folders = [Path("/etc/netns") / name for name in NAMES]
    ends: list[int] = []
    relay = None
    try:
        for name, folder, address in zip(NAMES, folders, ADDRESSES, strict=True):
            ip("netns", "add", name)
            folder.mkdir(parents=True, exist_ok=True)
            hosts = f"127.0.0.1 localhost\n{address} {socket.gethostname()}\n"
            (folder / "hosts").write_text(hosts)
        relayed = link == "relay" or link.endswith("ms")
        if not relayed:
            ip(
                "link",
                "add",
                "link0",
                "netns",
                NAMES[0],
                "type",
                "veth",
                "peer",
                "name",
                "link1",
                "netns",
                NAMES[1],
            )
        ends = [_tunnel(name, f"link{n}") for n, name in enumerate(NAMES)] if relayed else []
        for number, (name, address) in enumerate(zip(NAMES, ADDRESSES, strict=True)):
            ip("-n", name, "address", "add", f"{address}/24", "dev", f"link{number}")
            ip("-n", name, "link", "set", f"link{number}", "up")
            ip("-n", name, "link", "set", "lo", "up")
            if link.endswith("bit"):
                what = ["tbf", "rate", link, "burst", "256kb", "latency", "50ms"]
                subprocess.run(
                    ["tc", "-n", name, "qdisc", "add", "dev", f"link{number}", "root", *what],  # noqa: S607
                    check=True,
                )
        if relayed:
            delay = float(link.removesuffix("ms")) / 1e3 if link.endswith("ms") else 0.0
            relay = multiprocessing.Process(target=_relay, args=(ends, delay), daemon=True)
            relay.start()
        yield
    finally:
        if relay is not None:
            relay.kill()
            relay.join()
        for end in ends:
            os.close(end)
        for name, folder in zip(NAMES, folders, strict=True):
            subprocess.run(["ip", "netns", "delete", name], check=False)  # noqa: S607
            shutil.rmtree(folder, ignore_errors=True)


def _tunnel(namespace: str, device: str) -> int:
    """Make a TUN device in a namespace; what is written to the descriptor arrives there."""
    libc = ctypes.CDLL(None, use_errno=True)
    own, other = Path("/proc/self/ns/net"), Path(f"/run/netns/{namespace}")
    with own.open() as here, other.open() as there:
        if libc.setns(there.fileno(), 0):
            raise OSError(ctypes.get_errno(), "setns")
        try:
            descriptor = os.open("/dev/net/tun", os.O_RDWR)
            # TUNSETIFF with IFF_TUN | IFF_NO_PI, see Linux's Documentation/networking/tuntap.
            fcntl.ioctl(descriptor, 0x400454CA, struct.pack("16sH22x", device.encode(), 0x1001))
        finally:
            libc.setns(here.fileno(), 0)
    return descriptor


def _relay(ends: list[int], delay: float) -> None:
    """Hand packets from each end to the other, so much later."""
    waiting: deque[tuple[float, int, bytes]] = deque()
    while True:
        left = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        for end in select.select(ends, [], [], left)[0]:
            packet = os.read(end, 65536)
            waiting.append((time.monotonic() + delay, ends[end == ends[0]], packet))
        while waiting and waiting[0][0] <= time.monotonic():
            _, end, packet = waiting.popleft()
            with suppress(OSError):  # the device is down
                os.write(end, packet)


def started(place: int, folder: Path, options: list[str]) -> "subprocess.Popen[str]":
    """The suite on one of both."""
    command = [
        "ip",
        "netns",
        "exec",
        NAMES[place],
        sys.executable,
        "-m",
        "pytest",
        str(SUITE),
        "-q",
        "-k",
        "hosts",
        "-p",
        "no:cacheprovider",
        "--train-backend",
        "jax",
        "--train-devices",
        "cpu",
        "--train-hosts",
        f"{','.join(ADDRESSES)}@{place}",
        "--train-output",
        str(folder),
        *options,
    ]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def measured(link: str, options: list[str]) -> list[dict[str, str]]:
    """Rows of the table of one run of both."""
    with tempfile.TemporaryDirectory() as folder, namespaces(link):
        both = [started(place, Path(folder), options) for place in (0, 1)]
        texts = [one.communicate()[0] for one in both]
        if any(one.returncode for one in both):
            raise SystemExit("\n".join(texts))
        (table,) = Path(folder).glob("runs/*/tables/scaling.csv")
        with table.open(encoding="utf-8") as file:
            return list(csv.DictReader(file))


def killed(options: list[str]) -> None:
    """End the second host in mid-run; say what the first one does, and how soon."""
    with tempfile.TemporaryDirectory() as folder, namespaces("wire"):
        first, second = (started(place, Path(folder), options) for place in (0, 1))
        rounds = 0
        while rounds < 2 and first.poll() is None:
            time.sleep(0.2)
            text = "".join(p.read_text() for p in Path(folder).glob("runs/*/journal.jsonl"))
            rounds = text.count('"kind": "round"') + text.count('"kind":"round"')
        os.killpg(second.pid, signal.SIGKILL)
        begin = time.monotonic()
        text = first.communicate()[0]
        print(f"ended {time.monotonic() - begin:.1f} s after, exit code {first.returncode}")
        print("\n".join(line for line in text.splitlines() if "host 1" in line))


def main() -> None:
    """Measure each link, or end a host."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--links", nargs="+", default=["wire", "100mbit", "relay", "5ms"])
    parser.add_argument("--effort", default="default")
    parser.add_argument("--kill", action="store_true")
    arguments = parser.parse_args()
    options = ["--train-effort", arguments.effort]
    if arguments.kill:
        killed(options)
        return
    for link in arguments.links:
        for row in measured(link, options):
            print(
                f"{link}, {row['kind']}: speedup {float(row['speedup']):.3f} "
                f"[{row['low'][:5]}, {row['high'][:5]}], step {float(row['step_s']):.3f} s, "
                f"all-reduce {1e3 * float(row['allreduce_s']):.1f} ms, share "
                f"{100 * float(row['communication_share']):.1f} %, loss {row['loss']} and "
                f"{row['loss_single']}",
                flush=True,
            )


if __name__ == "__main__":
    main()
