"""A process that imports a framework once and forks workers.

Importing TensorFlow takes 11 s on a small machine; a fork takes milliseconds. The runtime (thread
pools, device) starts in the worker after the fork, so that a forked worker is as fresh as a
spawned one. Python's own `multiprocessing` fork server allows one server per process, imports the
parent's `__main__` again and shares the parent's streams.

Run as `python -m harness.worker.forkserver FD BACKEND PARENT_PID`. A request on the socket FD has
the name of a dataset, the file of a redirection or null, and two descriptors: the worker's channel
and its log. The server loads the
dataset, so that workers share its pages.
"""

import contextlib
import ctypes
import json
import os
import select
import signal
import socket
import sys
import traceback
from pathlib import Path

from harness.worker import processes, serve
from harness.worker.backends import find as find_backend
from harness.worker.channel import Channel, ChannelClosed
from harness.workloads import datasets, redirect, sources

_CUDA_NOT_INITIALIZED = 3  # CUDA_ERROR_NOT_INITIALIZED


def main(argv: list[str]) -> None:
    """Preload, then fork one worker per request until the parent closes the socket."""
    descriptor, backend, parent = int(argv[0]), argv[1], int(argv[2])
    processes.die_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    control = socket.socket(fileno=descriptor)
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write)
    signal.signal(signal.SIGCHLD, lambda *_: None)

    find_backend(backend).preload()
    redirect.begin()
    processes.adopt_orphans()
    channel = Channel(control)
    code = 1
    try:  # from now on there may be workers; they end before the server does
        processes.exit_with_parent(parent)
        with contextlib.suppress(ChannelClosed):
            channel.send(event="preloaded", forkable=not cuda_is_initialized())
            _serve(control, channel, wake_read)
        code = 0
    except Exception:
        traceback.print_exc()
    finally:
        # The socket of a parent that is killed closes before the kernel tells of its end, so that
        # the signal may interrupt the first call; there is only one signal.
        try:
            processes.end_strays(os.getpid(), [])
        finally:
            processes.end_strays(os.getpid(), [])
            os._exit(code)  # at once: the framework's own exit handlers take their time


def cuda_is_initialized() -> bool:
    """Ask CUDA's driver, if its library is loaded: then no child that is forked can use a GPU.

    Asking initializes nothing.
    """
    if "libcuda.so" not in Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace"):
        return False
    count = ctypes.c_int()
    code: int = ctypes.CDLL("libcuda.so.1").cuDeviceGetCount(ctypes.byref(count))
    return code != _CUDA_NOT_INITIALIZED


def _serve(control: socket.socket, channel: Channel, wake_read: int) -> None:
    """Fork one worker per request; return when the parent has ended."""
    server = os.getpid()
    while True:
        ready, _, _ = select.select([control.fileno(), wake_read], [], [])
        if wake_read in ready:
            os.read(wake_read, 4096)
            _report_ended(channel)
        if control.fileno() in ready:
            try:
                request, descriptors, _, _ = socket.recv_fds(control, 4096, 2)
            except OSError:  # reset: the parent was killed with something unread
                return
            if not request:
                return
            asked = json.loads(request)
            _share(asked["dataset"])
            pid = os.fork()
            if pid == 0:
                control.close()  # else the socket would stay open when the parent has ended
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                _become_worker(server, asked["redirect"], *descriptors)
            for number in descriptors:
                os.close(number)
            channel.send(event="forked", pid=pid)


def _share(dataset: str) -> None:
    """Load a dataset, unless that needs the model or the user's code, which a worker has."""
    if dataset not in (datasets.AUTO, datasets.FITTED) and not sources.is_own(dataset):
        with contextlib.suppress(Exception):  # the worker meets the same error and reports it
            datasets.load(dataset)


def _report_ended(channel: Channel) -> None:
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            channel.send(event="ended", pid=pid, code=os.waitstatus_to_exitcode(status))


def _become_worker(server: int, redirected: str | None, channel_fd: int, log_fd: int) -> None:
    code = 1
    try:
        processes.die_with_parent(server)
        processes.adopt_orphans()
        os.setsid()  # a group of its own: its children are killed with it
        os.dup2(log_fd, 1)
        os.dup2(log_fd, 2)
        if redirected is not None:
            redirect.follow(redirected)
        code = serve.serve(Channel(socket.socket(fileno=channel_fd)))
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)  # the server's own exit handlers are not the worker's


if __name__ == "__main__":
    main(sys.argv[1:])
