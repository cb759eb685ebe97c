"""Read the traces of TensorFlow's and JAX's profiler: an XSpace of planes, lines and events."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.worker.profile import hlo, timeline, xplane
from harness.worker.profile.scopes import row_of
from harness.worker.profile.timeline import Event

# `path:Type`, as TensorFlow's executor names an operation.
_OPERATION = re.compile(r"^(.*[^:]):([A-Za-z_]\w*)$")
_INPUT = "Iterator"  # operations of tf.data
_STREAM = "Stream #"  # what a GPU executed; other lines of its plane repeat that, or are overhead
_TO_GPU = "MemcpyH2D"
# Instructions that execute others, which have events of their own.
_OUTER = re.compile(r"^(while|call|conditional)(\.\d+)?$")


def read(folder: Path) -> Any:
    """Read the trace that a profiler has written into a folder."""
    (path,) = folder.glob("**/*.xplane.pb")
    space = xplane.new_space()
    space.ParseFromString(path.read_bytes())
    return space


def tensorflow_events(space: Any) -> Iterator[Event]:
    """Yield the operations that the executor of TensorFlow ran on the CPU."""
    for plane, line, event in _events(space):
        name = plane.event_metadata[event.metadata_id].name
        if match := _OPERATION.match(name):
            yield _event(line, event, *_operation(match))
        elif name.startswith(_INPUT):
            yield _event(line, event, name.split("::")[0], "input")


def jax_events(space: Any, variables: Sequence[str | None]) -> Iterator[Event]:
    """Yield the instructions that XLA ran on the CPU.

    `variables` are the rows of the layers that own the trainable variables.
    """
    programs = _programs(space, variables)
    for plane, line, event in _events(space):
        stats = _stats(plane, event)
        if "hlo_op" in stats and not _OUTER.match(stats["hlo_op"]):
            yield _event(line, event, *_instruction(stats, programs))


def gpu_events(space: Any, variables: Sequence[str | None]) -> Iterator[Event]:
    """Yield the kernels and copies that a GPU executed, for TensorFlow or JAX.

    Each names the instruction of XLA that it is, or the operation of TensorFlow that launched it.
    A copy to the GPU that is for no layer brings input.
    """
    programs = _programs(space, variables)
    for plane, line, event in _events(space):
        if not line.name.startswith(_STREAM):
            continue
        name, stats = plane.event_metadata[event.metadata_id].name, _stats(plane, event)
        found: tuple[str, str | None, bool] = timeline.kernel_name(name), None, False
        if "hlo_op" in stats:
            found = _instruction(stats, programs)
        elif match := _OPERATION.match(stats.get("tf_op", "")):
            found = _operation(match)
        if found[1] is None and name.startswith(_TO_GPU):
            found = name, "input", False
        yield _event(line, event, *found)


def _operation(match: re.Match[str]) -> tuple[str, str | None, bool]:
    """Operation, row and direction of an operation of TensorFlow."""
    path, operation = match.groups()
    return operation, row_of(path), "gradient_tape/" in path


def _instruction(
    stats: Mapping[str, str], programs: Mapping[str, Mapping[str, hlo.Row]]
) -> tuple[str, str | None, bool]:
    """Operation, row and direction of an instruction of XLA."""
    instruction = stats["hlo_op"]
    program = f"{stats.get('hlo_module')}({stats.get('program_id')})"
    row, backward = programs.get(program, {}).get(instruction, hlo.UNKNOWN)
    return instruction.rstrip("0123456789").rstrip("."), row, backward


def _programs(space: Any, variables: Sequence[str | None]) -> dict[str, dict[str, hlo.Row]]:
    """The rows of the instructions of each compiled program: `jit_step(30)`."""
    return {
        metadata.name: hlo.rows(stat.bytes_value, variables)
        for plane in space.planes
        for metadata in plane.event_metadata.values()
        for stat in metadata.stats
        if plane.stat_metadata[stat.metadata_id].name == "Hlo Proto"
    }


def _stats(plane: Any, event: Any) -> dict[str, str]:
    return {
        plane.stat_metadata[one.metadata_id].name: _text(plane, one)
        for one in (*event.stats, *plane.event_metadata[event.metadata_id].stats)
    }


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


def _event(line: Any, event: Any, operation: str, row: str | None, backward: bool = False) -> Event:
    begin = line.timestamp_ns / 1e9 + event.offset_ps / 1e12
    thread = f"{line.name.split('/')[0]} {line.id}"
    return Event(thread, begin, begin + event.duration_ps / 1e12, operation, row, backward)
