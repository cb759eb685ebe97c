"""What another interpreter has, and what it lacks to train."""

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import BadCase
from harness.measure.versions import about
from harness.records import Change

_OLDEST = (3, 11)
_SECONDS = 60.0
_NEEDED = ("numpy", "psutil", "keras")
_OLDEST_KERAS = 3


@dataclass(frozen=True, slots=True)
class Interpreter:
    """An interpreter and the packages that it finds.

    Attributes:
        path: As it is started.
        python: Its version.
        packages: Versions by name, in small letters.
    """

    path: str
    python: tuple[int, ...]
    packages: Mapping[str, str]

    @classmethod
    def ask(cls, path: str, modules: Sequence[str] = ()) -> "Interpreter":
        """Start it and ask.

        Raises:
            BadCase: it cannot be started, is too old, or lacks a module that workers import.
        """
        wanted = [*_NEEDED, *modules]
        try:
            done = subprocess.run(
                [path, about.__file__, *wanted],
                capture_output=True,
                text=True,
                timeout=_SECONDS,
                check=True,
                stdin=subprocess.DEVNULL,
            )
            found = json.loads(done.stdout.splitlines()[-1])
            one = cls(path, tuple(found["python"]), found["packages"])
        except OSError as error:
            raise BadCase(f"{path} cannot be started: {error.strerror}") from error
        except subprocess.CalledProcessError as error:
            last = (error.stderr.strip().splitlines() or [f"exit code {error.returncode}"])[-1]
            raise BadCase(f"{path} is no Python that can be used: {last}") from error
        except (subprocess.TimeoutExpired, ValueError, IndexError, TypeError, KeyError) as error:
            raise BadCase(f"{path} does not answer as Python does") from error
        one._check(found["missing"])
        return one

    def _check(self, missing: Sequence[str]) -> None:
        version = ".".join(map(str, self.python))
        if self.python[:2] < _OLDEST:
            oldest = ".".join(map(str, _OLDEST))
            raise BadCase(f"{self.path} is Python {version}; workers need {oldest} or newer")
        if missing:
            names = ", ".join(missing)
            install = f"{self.path} -m pip install {' '.join(missing)}"
            raise BadCase(f"{self.path} lacks {names}, which workers import: {install}")
        keras = self.packages.get("keras", "")
        if keras and int(keras.partition(".")[0]) < _OLDEST_KERAS:
            raise BadCase(f"{self.path} has Keras {keras}; only Keras 3 is measured")

    @property
    def name(self) -> str:
        """The folder of its environment, or its own."""
        path = Path(self.path)
        folder = path.parent.parent if path.parent.name in ("bin", "Scripts") else path.parent
        return folder.name if (folder / "pyvenv.cfg").exists() else self.path


def changes(there: Interpreter, here: Interpreter) -> Iterator[Change]:
    """Yield Python and the packages that are not the same here as there."""
    if there.python != here.python:
        its, was = (".".join(map(str, one.python)) for one in (here, there))
        yield Change("library", "Python", _what(its, was))
    for name in sorted({**there.packages, **here.packages}):
        pair = here.packages.get(name), there.packages.get(name)
        if pair[0] != pair[1]:
            yield Change("library", name, _what(*pair))


def _what(here: str | None, there: str | None) -> str:
    return f"{here or 'not installed'}, was {there or 'not installed'}"
