"""Read the traces of TensorFlow's and JAX's profiler: an XSpace of planes, lines and events."""

import functools
import importlib.util
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from harness.worker.profile import hlo
from harness.worker.profile.scopes import row_of
from harness.worker.profile.timeline import Event

# `path:Type`, as TensorFlow's executor names an operation.
_OPERATION = re.compile(r"^(.*[^:]):([A-Za-z_]\w*)$")
_PROTO = "tensorflow/tsl/profiler/protobuf/xplane_pb2.py"
_INPUT = "Iterator"  # operations of tf.data
# Instructions that execute others, which have events of their own.
_OUTER = re.compile(r"^(while|call|conditional)(\.\d+)?$")


def read(folder: Path) -> Any:
    """Read the trace that a profiler has written into a folder."""
    (path,) = folder.glob("**/*.xplane.pb")
    space = _classes().XSpace()
    space.ParseFromString(path.read_bytes())
    return space


@functools.cache
def _classes() -> Any:
    """The classes of XSpace, which TensorFlow's wheel holds; they do not need TensorFlow."""
    package = importlib.util.find_spec("tensorflow")
    if package is None or package.origin is None:
        raise ImportError("the trace is read with a file of TensorFlow's, which is not installed")
    path = Path(package.origin).parent.parent / _PROTO
    spec = importlib.util.spec_from_file_location("harness_xplane_pb2", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def tensorflow_events(space: Any) -> Iterator[Event]:
    """Yield the operations that the executor of TensorFlow ran on the CPU."""
    for plane, line, event in _events(space):
        name = plane.event_metadata[event.metadata_id].name
        match = _OPERATION.match(name)
        if match:
            path, operation = match.groups()
            backward = "gradient_tape/" in path
            yield _event(line, event, operation, row_of(path), backward=backward)
        elif name.startswith(_INPUT):
            yield _event(line, event, name.split("::")[0], "input")


def jax_events(space: Any, variables: Sequence[str | None]) -> Iterator[Event]:
    """Yield the instructions that XLA ran on the CPU.

    `variables` are the rows of the layers that own the trainable variables.
    """
    programs = {name: hlo.rows(blob, variables) for name, blob in _programs(space)}
    for plane, line, event in _events(space):
        stats = {
            plane.stat_metadata[one.metadata_id].name: one
            for one in (*event.stats, *plane.event_metadata[event.metadata_id].stats)
        }
        if "hlo_op" not in stats:
            continue
        instruction = _text(plane, stats["hlo_op"])
        if _OUTER.match(instruction):
            continue
        program = f"{_text(plane, stats['hlo_module'])}({_text(plane, stats['program_id'])})"
        row, backward = programs.get(program, {}).get(instruction, hlo.UNKNOWN)
        operation = instruction.rstrip("0123456789").rstrip(".")
        yield _event(line, event, operation, row, backward=backward)


def _programs(space: Any) -> Iterator[tuple[str, bytes]]:
    """The compiled programs by their names: `jit_step(30)`."""
    for plane in space.planes:
        for metadata in plane.event_metadata.values():
            for stat in metadata.stats:
                if plane.stat_metadata[stat.metadata_id].name == "Hlo Proto":
                    yield metadata.name, stat.bytes_value


def _events(space: Any) -> Iterator[tuple[Any, Any, Any]]:
    for plane in space.planes:
        for line in plane.lines:
            for event in line.events:
                if event.duration_ps:
                    yield plane, line, event


def _text(plane: Any, stat: Any) -> str:
    kind = stat.WhichOneof("value")
    value = getattr(stat, kind)
    return plane.stat_metadata[value].name if kind == "ref_value" else str(value)


def _event(
    line: Any, event: Any, operation: str, row: str | None, *, backward: bool = False
) -> Event:
    begin = line.timestamp_ns / 1e9 + event.offset_ps / 1e12
    thread = f"{line.name.split('/')[0]} {line.id}"
    return Event(thread, begin, begin + event.duration_ps / 1e12, operation, row, backward)
