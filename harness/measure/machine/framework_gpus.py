"""Ask a framework, in a process of its own, which GPUs it sees."""

import json
import subprocess
import sys

from harness.worker import backends

_TIMEOUT_SECONDS = 300.0


class ProbeFailed(Exception):
    """The framework could not be asked; the text is the last that it said."""


def visible_gpus(backend: str, cuda_device: str | None) -> list[str]:
    """List the GPUs that a backend's framework sees, by name.

    Args:
        backend: The backend; its framework is imported, which takes seconds.
        cuda_device: What it is to see, see `Backend.environment`.

    Raises:
        ProbeFailed: it cannot be imported, or fails while it looks.
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
        raise ProbeFailed(f"{backend} did not answer within {_TIMEOUT_SECONDS:g} s") from error
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise ProbeFailed(f"importing {backend} failed: {last}") from error
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return found


def main(argv: list[str]) -> None:
    """Print the names as JSON: `python -m harness.measure.machine.framework_gpus BACKEND`."""
    print(json.dumps(backends.find(argv[0]).gpus()))  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
