"""List the GPUs that a framework sees, in a process of its own."""

import json
import subprocess
import sys

from harness.worker import backends

_TIMEOUT_SECONDS = 300.0


class FrameworkFailed(Exception):
    """The framework could not list its GPUs; the text is the last line of its output."""


def visible_gpus(backend: str, cuda_device: str | None) -> list[str]:
    """List the GPUs that a backend's framework sees, by name; importing it takes seconds.

    Raises:
        FrameworkFailed: the framework cannot be imported or fails.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-m", "harness.measure.machine.framework_gpus", backend],
            env=backends.find(backend).environment("gpu", cuda_device),
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_SECONDS,
            check=True,
        )
    except subprocess.TimeoutExpired as error:
        raise FrameworkFailed(f"{backend} did not answer within {_TIMEOUT_SECONDS:g} s") from error
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or ["no output"])[-1]
        raise FrameworkFailed(f"importing {backend} failed: {last}") from error
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return found


def main(argv: list[str]) -> None:
    """Print the names as JSON: `python -m harness.measure.machine.framework_gpus BACKEND`."""
    sys.stdout.write(json.dumps(backends.find(argv[0]).gpus()) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
