"""Run as `python -m harness` or `harness`."""

import gc
from typing import NoReturn

from harness.commands.parser import main


def run() -> NoReturn:
    """Run a command, and end the process with its exit code."""
    status = main()
    gc.freeze()  # all memory goes back at once: no need to look through it for garbage
    raise SystemExit(status)


if __name__ == "__main__":
    run()
