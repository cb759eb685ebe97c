"""From a trace to the time of each layer: names, overlaps, programs of XLA, Chrome's format."""

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.worker.profile import chrome, hlo, timeline
from harness.worker.profile.scopes import row_of
from harness.worker.profile.timeline import Event, Spent, divide


@pytest.mark.parametrize(
    ("path", "row"),
    [
        ("StatefulPartitionedCall/harness-0/harness-12_1/Relu", "12"),
        ("gradient_tape/harness-0/harness-3/MatMul", "3"),
        ("jit(counted)/transpose(jvp(harness-7))/dot_general", "7"),
        ("harness-optimizer/adam/mul", "optimizer"),
        ("harness-0/while/body/_5/while/harness-4/MatMul", "4"),
        ("sequential/dense/MatMul", None),
    ],
)
def test_the_innermost_scope_counts(path, row):
    """Whatever a framework puts before and behind it."""
    assert row_of(path) == row


def test_the_innermost_operation_counts():
    """And one without a row is that of what is around it."""
    events = [
        Event("a", 0.0, 10.0, "outer", "1", backward=True),
        Event("a", 2.0, 5.0, "inner"),
        Event("a", 6.0, 7.0, "other", "2"),
    ]
    assert divide(events) == {
        ("1", True, "outer"): Spent(6.0, 1),
        ("1", True, "inner"): Spent(3.0, 1),
        ("2", False, "other"): Spent(1.0, 1),
    }


def test_threads_share_the_time_in_which_both_work():
    """So that nothing counts twice."""
    events = [Event("a", 0.0, 4.0, "x", "1"), Event("b", 2.0, 8.0, "y", "2")]
    found = divide(events)
    assert found["1", False, "x"].seconds == pytest.approx(3.0)
    assert found["2", False, "y"].seconds == pytest.approx(5.0)


@st.composite
def _events(draw):
    """Nested operations of a few threads."""
    found = []
    for thread in draw(st.lists(st.sampled_from("abc"), unique=True)):
        edges = sorted(draw(st.lists(st.integers(0, 100), min_size=2, max_size=12, unique=True)))
        half = len(edges) // 2
        if draw(st.booleans()):  # within each other
            pairs = zip(edges[:half], reversed(edges[-half:]), strict=True)
        else:  # one after the other
            pairs = zip(edges[0 : 2 * half : 2], edges[1 : 2 * half : 2], strict=True)
        for number, (begin, end) in enumerate(pairs):
            row = draw(st.sampled_from([None, "0", "1"]))
            found.append(Event(thread, float(begin), float(end), f"op{number}", row))
    return found


@given(_events())
def test_all_parts_together_are_the_time_in_which_anything_ran(events):
    """However threads overlap."""
    busy = sum(
        any(e.begin <= moment and moment + 1 <= e.end for e in events) for moment in range(100)
    )
    found = divide(events)
    assert sum(one.seconds for one in found.values()) == pytest.approx(busy)
    assert sum(one.count for one in found.values()) == len(events)
    assert all(one.seconds >= 0 for one in found.values())


def message(**fields):
    """A message of protocol buffers: `f7=b"…"` is field 7; integers are variable-length."""

    def varint(number):
        found = b""
        while number > 0x7F:
            found += bytes([number & 0x7F | 0x80])
            number >>= 7
        return found + bytes([number])

    found = b""
    for name, values in fields.items():
        number = int(name[1:])
        for value in values if isinstance(values, list) else [values]:
            if isinstance(value, int):
                found += varint(number << 3) + varint(value)
            else:
                found += varint(number << 3 | 2) + varint(len(value)) + value
    return found


def instruction(number, name, opcode="add", path=None, operands=(), called=()):
    """One of XLA's, with its operands packed as they are in a trace."""
    metadata = {"f7": message(f2=path.encode())} if path else {}
    return message(
        f1=name.encode(),
        f2=opcode.encode(),
        **metadata,
        f35=number,
        f36=bytes(operands),
        f38=list(called),
    )


def program(*computations):
    """A program of computations, each a number and its instructions."""
    made = [message(f1=b"c", f2=list(its), f5=number) for number, its in computations]
    return message(f1=message(f3=made))


def test_instructions_of_xla_belong_to_the_layers_of_their_scopes():
    """Those that have none to what uses them, and a gradient to the variable that it changes."""
    fused = [
        instruction(1, "p", "parameter"),
        instruction(2, "m", path="jit(s)/transpose(jvp(harness-3))/mul", operands=(1,)),
    ]
    main = [
        instruction(1, "state", "parameter", path="data[0][0][1]"),
        instruction(2, "iota"),
        instruction(3, "forward", path="jit(s)/jvp(harness-2)/conv", operands=(2,)),
        instruction(4, "fusion.1", "fusion", operands=(3,), called=(9,)),
        instruction(5, "convolution.3", operands=(3, 4)),
        instruction(6, "update", path="jit(s)/harness-optimizer/add", operands=(5, 1)),
        instruction(7, "nobody"),
    ]
    assert hlo.rows(program((9, fused), (10, main)), ["2", "5"]) == {
        "m": ("3", True),
        "iota": ("2", False),
        "forward": ("2", False),
        "fusion.1": ("3", True),
        "convolution.3": ("5", True),
        "update": ("optimizer", False),
    }


def torch_event(name, begin, end, sequence=None, category="cpu_op"):
    """An event as Torch's profiler writes it; microseconds."""
    arguments = {} if sequence is None else {"Sequence number": sequence}
    return {
        "ph": "X",
        "cat": category,
        "name": name,
        "tid": 7,
        "ts": begin,
        "dur": end - begin,
        "args": arguments,
    }


def test_the_gradient_of_torch_belongs_to_the_layer_of_its_forward_pass(tmp_path):
    """By sequence number; operations within the gradient carry such numbers, too."""
    events = [
        torch_event("harness-0", 0, 50, category="user_annotation"),
        torch_event("aten::empty", 1, 2, 10),
        torch_event("aten::conv2d", 5, 40, 10),
        torch_event("aten::mul", 60, 70, 11),
        torch_event("autograd::engine::evaluate_function: MulBackward0", 100, 110, 11),
        torch_event("autograd::engine::evaluate_function: ConvolutionBackward0", 110, 200, 10),
        torch_event("aten::convolution_backward", 120, 190, 10),
        {"ph": "i", "name": "mark"},
    ]
    path = tmp_path / "trace.json"
    path.write_text(json.dumps({"traceEvents": events}))
    spent = divide(chrome.torch_events(path))
    seconds = {kind: round(1e6 * one.seconds) for kind, one in spent.items()}
    assert seconds == {
        ("0", False, "Python"): 14,
        ("0", False, "empty"): 1,
        ("0", False, "conv2d"): 35,
        (None, False, "mul"): 10,
        (None, True, "MulBackward0"): 10,
        ("0", True, "ConvolutionBackward0"): 20,
        ("0", True, "convolution_backward"): 70,
    }


def test_a_trace_is_written_for_people(tmp_path):
    """With the names of layers, and from its first event on."""
    path = tmp_path / "traces" / "case.trace.json.gz"
    events = [Event("a", 5.0, 5.5, "Conv2D", "0"), Event("b", 5.25, 5.5, "Mul", "optimizer")]
    chrome.write(path, events, {"0": "block/conv"})
    with gzip.open(path, "rt", encoding="utf-8") as file:
        entries = json.load(file)["traceEvents"]
    named = [(one["name"], one["ts"], one["dur"]) for one in entries if one["ph"] == "X"]
    assert named == [("block/conv: Conv2D", 0.0, 5e5), ("optimizer: Mul", 2.5e5, 2.5e5)]
    assert {one["args"]["name"] for one in entries if one["ph"] == "M"} == {"a", "b"}


def test_an_outer_operation_comes_first():
    """Where both begin at once."""
    outer, inner = Event("a", 0.0, 3.0, "outer", "1"), Event("a", 0.0, 1.0, "inner")
    assert sorted([inner, outer], key=timeline.by_begin) == [outer, inner]
