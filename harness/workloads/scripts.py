"""Execute a user's file as a module, without the training that it does (worker's side).

A file that builds, compiles and trains at its top level is the most common one. Its `fit` would
take as long as the user's training, in every worker. So the file is executed up to the `fit` of
the model that is measured, and the data given to that `fit` is what the model is measured with.
"""

import contextlib
import importlib
import importlib.util
import io
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.errors import UnknownName

_SAVES = ("save", "save_weights", "export")  # would write an untrained model over a trained one


@dataclass(frozen=True, slots=True)
class Given:
    """What a file gives to its own `fit`.

    Attributes:
        data: As a function `data` would return it.
        steps_per_epoch: None if the file leaves it to the data.
    """

    data: Any
    steps_per_epoch: int | None


_given: dict[str, Given] = {}  # by file


class _Reached(BaseException):
    """The file calls `fit` of the model that is measured."""

    def __init__(self, given: Given) -> None:
        super().__init__()
        self.given = given


def given_to_fit(path: str) -> Given | None:
    """Return what a file that was executed gave to its own `fit`; None without one."""
    return _given.get(path)


def execute(path: Path, wanted: str) -> ModuleType:
    """Import a file, up to the `fit` of what it calls `wanted`.

    The file sees its own name alone in `sys.argv`, and can import its neighbors. A file of a
    package is imported as a part of the package.

    Raises:
        UnknownName: the file cannot be loaded, or ends the program.
    """
    resolved = path.resolve()
    package, name = _module_name(resolved)
    for folder in (package, resolved.parent):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    if parent := name.rpartition(".")[0]:
        try:
            importlib.import_module(parent)
        except Exception:  # a file that is meant to be run alone may stand in a broken package
            name = name.replace(".", "_")
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UnknownName(f"{path} cannot be loaded as Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    printed, argv = io.StringIO(), sys.argv
    sys.argv = [str(path)]
    try:
        with contextlib.redirect_stderr(_Both(sys.stderr, printed)), _untrained(module, wanted):
            spec.loader.exec_module(module)
    except _Reached as reached:
        _given[str(path)] = reached.given
    except SystemExit as error:
        del sys.modules[name]
        said = printed.getvalue().strip().splitlines()
        why = said[-1] if said else f"exit {error.code}"
        raise UnknownName(
            f"{path} ends the program when it is imported ({why}); give its options defaults, or "
            "read them behind `if __name__ == '__main__':`"
        ) from error
    except BaseException:
        del sys.modules[name]
        raise
    finally:
        sys.argv = argv
    return module


class _Both(io.TextIOBase):
    """Writes to both."""

    def __init__(self, *streams: Any) -> None:
        self._streams = streams

    def write(self, text: str) -> int:
        for stream in self._streams:
            stream.write(text)
        return len(text)

    def flush(self) -> None:
        self._streams[0].flush()


def _module_name(path: Path) -> tuple[Path, str]:
    """Return the folder to import from, and a dotted name, by the packages above a file.

    A file that has the name of a module which others import, as queue.py or code.py, gets another.
    """
    folder, parts = path.parent, [path.stem]
    while (folder / "__init__.py").is_file():
        parts.insert(0, folder.name)
        folder = folder.parent
    if len(parts) > 1 and all(part.isidentifier() for part in parts):
        return folder, ".".join(parts)
    taken = path.stem in sys.stdlib_module_names or path.stem in sys.modules
    name = f"{path.stem}_of_{path.parent.name}" if taken else path.stem
    return path.parent, name.replace(".", "_")  # a dot would make it a part of a package


@contextlib.contextmanager
def _untrained(module: ModuleType, wanted: str) -> Iterator[None]:
    """Leave out what `fit` of Keras models does, and saving what was not trained.

    Raises _Reached at the `fit` of what the module calls `wanted`, or at any `fit` once the module
    has a function of that name. Other models are not trained, and their `fit` returns an empty
    history.
    """
    keras = sys.modules.get("keras")
    if keras is None:
        yield
        return

    def fit(self: Any, *arguments: Any, **named: Any) -> Any:
        known = getattr(module, wanted, None)
        if known is self or (known is not None and not isinstance(known, keras.Model)):
            raise _Reached(_data(*arguments, **named))
        return keras.callbacks.History()

    changed: dict[str, Callable[..., Any]] = {"fit": fit}
    changed |= dict.fromkeys(_SAVES, lambda *_, **__: None)
    before = {name: vars(keras.Model).get(name) for name in changed}
    for name, function in changed.items():
        setattr(keras.Model, name, function)
    try:
        yield
    finally:
        for name, function in before.items():
            if function is None:
                delattr(keras.Model, name)
            else:
                setattr(keras.Model, name, function)


def _data(
    x: Any = None,
    y: Any = None,
    *_rest: Any,
    sample_weight: Any = None,
    validation_data: Any = None,
    steps_per_epoch: int | None = None,
    **_named: Any,
) -> Given:
    """Take the arguments of `fit` that are data.

    Arrays to validate with are kept beside arrays to train with; a pipeline may be endless.
    """
    train = x
    if sample_weight is not None:
        train = (x, y, sample_weight)
    elif y is not None:
        train = (x, y)
    if isinstance(train, tuple) and isinstance(validation_data, (tuple, list)):
        train = train, tuple(validation_data)[:2]
    return Given(train, steps_per_epoch)
