"""Run as `python -m harness` or `harness`."""

import gc
from typing import NoReturn


def run() -> NoReturn:
    """Run a command and end the process with its exit code."""
    try:
        from harness.commands.parser import main

        status = main()
    except KeyboardInterrupt:  # during an import, before a command handles interrupts
        status = 130
    gc.freeze()  # the process ends: nothing has to be collected
    raise SystemExit(status)


if __name__ == "__main__":
    run()
