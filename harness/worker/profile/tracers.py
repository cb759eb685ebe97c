"""The profilers of the frameworks: their scopes, a trace of some steps, the operations in it."""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from harness.worker.profile import chrome, xspace
from harness.worker.profile.timeline import Event


class Tracer(Protocol):
    """What the profile of a step needs of a framework."""

    def scope(self, name: str) -> AbstractContextManager[Any]:
        """Open a scope, which the operations in it carry in a trace."""

    def tracing(self, folder: Path) -> AbstractContextManager[Any]:
        """Trace what is done within, and write the trace into a folder."""

    def events(self, folder: Path, variables: Sequence[str | None]) -> Iterable[Event]:
        """Read the trace; `variables` are the rows of the trainable variables' layers."""


class TensorFlow:
    """`tf.profiler`."""

    def scope(self, name: str) -> AbstractContextManager[Any]:
        """See `Tracer`."""
        import tensorflow as tf

        return tf.name_scope(name)  # type: ignore[no-any-return]

    @contextlib.contextmanager
    def tracing(self, folder: Path) -> Iterator[None]:
        """See `Tracer`; Python is not traced, which is slow."""
        import tensorflow as tf

        options = tf.profiler.experimental.ProfilerOptions(python_tracer_level=0)
        tf.profiler.experimental.start(str(folder), options)
        yield
        tf.profiler.experimental.stop()

    def events(self, folder: Path, variables: Sequence[str | None]) -> Iterable[Event]:
        """See `Tracer`."""
        return xspace.tensorflow_events(xspace.read(folder))


class Jax:
    """`jax.profiler`."""

    def scope(self, name: str) -> AbstractContextManager[Any]:
        """See `Tracer`."""
        import jax

        return jax.named_scope(name)  # type: ignore[no-any-return]

    @contextlib.contextmanager
    def tracing(self, folder: Path) -> Iterator[None]:
        """See `Tracer`; Python is not traced, which is slow."""
        import jax

        options = jax.profiler.ProfileOptions()
        options.python_tracer_level = 0
        jax.profiler.start_trace(str(folder), profiler_options=options)
        yield
        jax.profiler.stop_trace()

    def events(self, folder: Path, variables: Sequence[str | None]) -> Iterable[Event]:
        """See `Tracer`."""
        return xspace.jax_events(xspace.read(folder), variables)


class Torch:
    """`torch.profiler`."""

    def scope(self, name: str) -> AbstractContextManager[Any]:
        """See `Tracer`."""
        import torch

        return torch.profiler.record_function(name)  # type: ignore[no-any-return]

    @contextlib.contextmanager
    def tracing(self, folder: Path) -> Iterator[None]:
        """See `Tracer`."""
        import torch

        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
            yield
        profile.export_chrome_trace(str(folder / "trace.json"))

    def events(self, folder: Path, variables: Sequence[str | None]) -> Iterable[Event]:
        """See `Tracer`."""
        return chrome.torch_events(folder / "trace.json")


_TRACERS: dict[str, Tracer] = {"tensorflow": TensorFlow(), "jax": Jax(), "torch": Torch()}


def find(backend: str) -> Tracer:
    """Return the tracer of a backend."""
    return _TRACERS[backend]
