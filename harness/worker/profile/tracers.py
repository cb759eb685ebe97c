"""The profilers of the frameworks: their scopes, a trace of some steps, the operations in it."""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from harness.worker.profile import chrome, xspace
from harness.worker.profile.timeline import Event

# XLA launches many kernels by one call otherwise, and its profiler does not name them.
_ONE_BY_ONE = "--xla_gpu_enable_command_buffer="


class Tracer(Protocol):
    """What the profile of a step needs of a framework."""

    on_gpu: bool

    def prepare(self) -> None:
        """Set what must be set before the framework looks for devices."""

    def scope(self, name: str) -> AbstractContextManager[Any]:
        """Open a scope, which the operations in it carry in a trace."""

    def tracing(self, folder: Path) -> AbstractContextManager[Any]:
        """Trace what is done within, and write the trace into a folder."""

    def events(self, folder: Path, variables: Sequence[str | None]) -> Iterable[Event]:
        """Read the trace; `variables` are the rows of the trainable variables' layers."""


class _Xla:
    """What the profilers of TensorFlow and JAX share."""

    def __init__(self, *, on_gpu: bool) -> None:
        self.on_gpu = on_gpu

    def prepare(self) -> None:
        """See `Tracer`; XLA reads its flags then."""
        if self.on_gpu:
            os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_ONE_BY_ONE}".strip()

    def events(self, folder: Path, variables: Sequence[str | None]) -> Iterable[Event]:
        """See `Tracer`."""
        return xspace.events(xspace.read(folder), variables, on_gpu=self.on_gpu)


class TensorFlow(_Xla):
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
        try:
            yield
        finally:
            tf.profiler.experimental.stop()


class Jax(_Xla):
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
        try:
            yield
        finally:
            jax.profiler.stop_trace()


class Torch:
    """`torch.profiler`."""

    def __init__(self, *, on_gpu: bool) -> None:
        self.on_gpu = on_gpu

    def prepare(self) -> None:
        """See `Tracer`."""

    def scope(self, name: str) -> AbstractContextManager[Any]:
        """See `Tracer`."""
        import torch

        return torch.profiler.record_function(name)  # type: ignore[no-any-return]

    @contextlib.contextmanager
    def tracing(self, folder: Path) -> Iterator[None]:
        """See `Tracer`."""
        import torch

        kinds = torch.profiler.ProfilerActivity
        activities = [kinds.CPU, kinds.CUDA] if self.on_gpu else [kinds.CPU]
        with torch.profiler.profile(activities=activities) as profile:
            yield
        profile.export_chrome_trace(str(folder / "trace.json"))

    def events(self, folder: Path, variables: Sequence[str | None]) -> Iterable[Event]:
        """See `Tracer`."""
        read = chrome.torch_gpu_events if self.on_gpu else chrome.torch_events
        return read(folder / "trace.json")


_TRACERS: dict[str, Callable[..., Tracer]] = {"tensorflow": TensorFlow, "jax": Jax, "torch": Torch}


def find(backend: str, *, on_gpu: bool) -> Tracer:
    """Return the tracer of a backend for a CPU or a GPU."""
    return _TRACERS[backend](on_gpu=on_gpu)
