"""Read the traces of TensorFlow's and JAX's profiler: an XSpace of planes, lines and events."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.worker.profile import hlo, timeline, xplane
from harness.worker.profile.scopes import is_backward, row_of
from harness.worker.profile.timeline import Event

# `path:Type`, as TensorFlow's executor names an operation.
_OPERATION = re.compile(r"^(.*[^:]):([A-Za-z_]\w*)$")
_INPUT = "Iterator"  # operations of tf.data
_GPU = "/device:GPU:"  # planes
_EXECUTED = "correlation_id"  # a stat of what a GPU executed, and not of what repeats that
_COPY, _TO_GPU = "Memcpy", "MemcpyH2D"
Programs = Mapping[str, Mapping[str, hlo.Row]]  # rows of instructions, by the program
Found = tuple[str, str | None, bool]  # operation, row, and whether it computes gradients
# Instructions that execute others, which have events of their own.
_OUTER = re.compile(r"^(while|call|conditional)(\.\d+)?$")


def read(folder: Path) -> Any:
    """Read the trace that a profiler has written into a folder."""
    (path,) = folder.glob("**/*.xplane.pb")
    space = xplane.new_space()
    space.ParseFromString(path.read_bytes())
    return space


def events(space: Any, variables: Sequence[str | None], *, on_gpu: bool) -> Iterator[Event]:
    """Yield the operations that a CPU or a GPU executed, for TensorFlow or JAX.

    Each is an instruction of a program that XLA has compiled, or an operation of TensorFlow; a
    kernel of a GPU is named by the operation that launched the kernel. A copy to the GPU that is
    for no layer brings input.

    Args:
        space: The trace.
        variables: The rows of the layers that own the trainable variables, in their order.
        on_gpu: Whether the operations of the GPU are wanted.
    """
    programs = _programs(space, variables)
    for plane, line, event in _executed(space, on_gpu=on_gpu):
        name, stats = plane.event_metadata[event.metadata_id].name, _stats(plane, event)
        found = _of_gpu(name, stats, programs) if on_gpu else _of_cpu(name, stats, programs)
        if found is not None:
            yield _event(line, event, *found, yields=on_gpu and name.startswith(_COPY))


def _of_cpu(name: str, stats: Mapping[str, str], programs: Programs) -> Found | None:
    """What an event of the CPU is; None if it is no operation."""
    if "hlo_op" in stats:
        return None if _OUTER.match(stats["hlo_op"]) else _instruction(stats, programs)
    if name.startswith(_INPUT) and "::" in name:
        return name.split("::", maxsplit=1)[0], "input", False
    return _operation(name)


def _of_gpu(name: str, stats: Mapping[str, str], programs: Programs) -> Found | None:
    """What an event of the GPU is; None if it is no kernel or copy."""
    if _EXECUTED not in stats:
        return None
    if "hlo_op" in stats:
        found = _instruction(stats, programs)
    else:
        unknown = timeline.kernel_name(name), None, False
        found = _operation(stats.get("tf_op", "")) or unknown
    return (name, "input", False) if found[1] is None and name.startswith(_TO_GPU) else found


def _operation(name: str) -> Found | None:
    """What an operation of TensorFlow is; None for another name."""
    match = _OPERATION.match(name)
    if match is None:
        return None
    path, operation = match.groups()
    return operation, row_of(path), is_backward(path)


def _instruction(stats: Mapping[str, str], programs: Programs) -> Found:
    """What an instruction of XLA is."""
    instruction = stats["hlo_op"]
    program = f"{stats.get('hlo_module')}({stats.get('program_id')})"
    row, backward = programs.get(program, {}).get(instruction, hlo.UNKNOWN)
    return instruction.rstrip("0123456789").rstrip("."), row, backward


def _programs(space: Any, variables: Sequence[str | None]) -> Programs:
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


def _executed(space: Any, *, on_gpu: bool) -> Iterator[tuple[Any, Any, Any]]:
    for plane in (one for one in space.planes if one.name.startswith(_GPU) == on_gpu):
        for line in plane.lines:
            for event in line.events:
                if event.duration_ps:
                    yield plane, line, event


def _text(plane: Any, stat: Any) -> str:
    kind = stat.WhichOneof("value")
    value = getattr(stat, kind)
    return plane.stat_metadata[value].name if kind == "ref_value" else str(value)


def _event(
    line: Any, event: Any, operation: str, row: str | None, backward: bool, *, yields: bool
) -> Event:
    begin = line.timestamp_ns / 1e9 + event.offset_ps / 1e12
    thread = f"{line.name.split('/')[0]} {line.id}"
    end = begin + event.duration_ps / 1e12
    return Event(thread, begin, end, operation, row, backward, yields)
