"""From a trace to the time of each layer: names, overlaps, programs of XLA, Chrome's format."""

import gzip
import importlib.util
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.worker.profile import chrome, hlo, timeline, tracers, xplane, xspace
from harness.worker.profile.scopes import row_of
from harness.worker.profile.timeline import Event, Spent, divide, divide_streams


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


def test_what_streams_execute_is_not_within_each_other():
    """One kernel may begin before another ends; a copy counts while no kernel runs."""
    events = [
        Event("stream 7", 0.0, 10.0, "gemm", "1"),
        Event("stream 7", 9.0, 20.0, "other"),
        Event("stream 9", 5.0, 8.0, "copy", "input", yields=True),
        Event("stream 9", 19.0, 24.0, "copy", "input", yields=True),
    ]
    seconds = {kind: one.seconds for kind, one in divide_streams(events).items()}
    assert seconds == {
        ("1", False, "gemm"): 9.5,
        (None, False, "other"): 10.5,
        ("input", False, "copy"): 4.0,
    }


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("void at::native::(anonymous namespace)::fill<float>(int)", "at::native::fill"),
        (
            "std::enable_if<!(false), void>::type internal::gemvx::kernel<int>(T*)",
            "internal::gemvx::kernel",
        ),
        ("sm90_xmma_gemm_f32f32_tf32f32_f32_nn_n", "sm90_xmma_gemm_f32f32_tf32f32_f32_nn_n"),
        (
            "void f<g<1, (h)2>, 4>::{lambda(int)#2}::operator()(int) const",
            "f::{lambda#2}::operator",
        ),
    ],
)
def test_a_kernel_is_named_without_types(name, short):
    """Nor what the function returns."""
    assert timeline.kernel_name(name) == short


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
    flat = divide_streams(events)
    assert sum(one.seconds for one in flat.values()) == pytest.approx(busy)


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
        instruction(8, "part", "get-tuple-element", operands=(6,)),
        instruction(9, "copy.9", "copy", operands=(8,)),
        instruction(10, "copy.10", "copy", operands=(7,)),
    ]
    assert hlo.rows(program((9, fused), (10, main)), ["2", "5"]) == {
        "m": ("3", True),
        "iota": ("2", False),
        "forward": ("2", False),
        "fusion.1": ("3", True),
        "convolution.3": ("5", True),
        "update": ("optimizer", False),
        "part": ("optimizer", False),
        "copy.9": ("optimizer", False),
    }


def test_a_variable_of_tensorflow_is_that_of_the_layer_that_reads_it():
    """Its parameters have no names; slots are read by the optimizer alone."""
    main = [
        instruction(1, "kernel", "parameter", path="XLA_Args"),
        instruction(2, "slot", "parameter", path="XLA_Args"),
        instruction(3, "copy.3", "copy", operands=(1,)),
        instruction(4, "conv", "convolution", path="harness-6/conv", operands=(3,)),
        instruction(5, "gradient", "convolution", operands=(4,)),
        instruction(6, "squared", path="harness-optimizer/square", operands=(5, 2)),
        instruction(7, "update", path="harness-optimizer/add", operands=(3, 5)),
        instruction(8, "decay"),
        instruction(9, "slower", path="harness-optimizer/mul", operands=(8, 2)),
    ]
    found = hlo.rows(program((9, main)), [])
    assert found["gradient"] == ("6", True)
    assert found["copy.3"] == ("6", False)
    assert found["decay"] == ("optimizer", False)


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


def on_gpu(name, begin, end, correlation, category="kernel"):
    """What a stream executed, as Kineto writes it."""
    arguments = {"device": 0, "stream": 20, "correlation": correlation}
    return {**torch_event(name, begin, end, category=category), "tid": 20, "args": arguments}


def launched(begin, correlation, call="cudaLaunchKernel", category="cuda_runtime"):
    """The call of CUDA that launches it."""
    event = torch_event(call, begin, begin + 1, category=category)
    return {**event, "args": {"correlation": correlation}}


def test_what_a_gpu_executes_for_torch_belongs_to_what_launched_it(tmp_path):
    """By correlation; whenever it runs."""
    kernel = "void at::native::(anonymous namespace)::fill<float>(int)"
    events = [
        torch_event("harness-0", 0, 50, category="user_annotation"),
        torch_event("aten::cudnn_convolution", 5, 40, 10),
        launched(10, 1),
        launched(20, 2, "cuLaunchKernel", "cuda_driver"),
        launched(45, 3),
        torch_event("autograd::engine::evaluate_function: ConvolutionBackward0", 60, 90, 10),
        torch_event("aten::convolution_backward", 65, 85, 10),
        launched(70, 4),
        launched(95, 5, "cudaMemcpyAsync"),
        launched(97, 6),
        on_gpu("void cudnn::implicit_gemm<float, 1>(int)", 100, 140, 1),
        on_gpu("sm90_gemm", 140, 150, 2),
        on_gpu("triton_add", 150, 155, 3),
        on_gpu("wgrad2d", 155, 255, 4),
        on_gpu("Memcpy HtoD (Pageable -> Device)", 255, 260, 5, "gpu_memcpy"),
        on_gpu("Memset (Device)", 260, 261, 4, "gpu_memset"),
        on_gpu(kernel, 261, 263, 6),
        torch_event("harness-0", 100, 255, category="gpu_user_annotation"),
    ]
    path = tmp_path / "trace.json"
    path.write_text(json.dumps({"traceEvents": events}))
    found = [*chrome.torch_gpu_events(path)]
    spent = divide_streams(found)
    seconds = {kind: round(1e6 * one.seconds) for kind, one in spent.items()}
    assert seconds == {
        ("0", False, "cudnn_convolution"): 50,
        ("0", False, "Python"): 5,
        ("0", True, "convolution_backward"): 101,
        ("input", False, "Memcpy HtoD"): 5,
        (None, False, "at::native::fill"): 2,
    }


class Plane:
    """A plane of an XSpace, as a profiler fills it."""

    def __init__(self, space, name):
        self.plane = space.planes.add(name=name)

    def stat(self, owner, name, value):
        """Text as a reference or bytes, numbers as they are."""
        found = owner.stats.add(metadata_id=self._stat_name(name))
        if isinstance(value, bytes):
            found.bytes_value = value
        elif isinstance(value, int):
            found.uint64_value = value
        else:
            found.ref_value = self._stat_name(value)

    def _stat_name(self, name):
        known = {one.name: number for number, one in self.plane.stat_metadata.items()}
        number = known.get(name, len(known) + 1)
        self.plane.stat_metadata[number].name = name
        return number

    def line(self, name, *events):
        """Events, each its name, begin and end in microseconds, and stats."""
        line = self.plane.lines.add(name=name, id=len(self.plane.lines), timestamp_ns=10**9)
        for text, begin, end, stats in events:
            number = len(self.plane.event_metadata) + 1
            self.plane.event_metadata[number].name = text
            event = line.events.add(metadata_id=number, offset_ps=begin * 10**6)
            event.duration_ps = (end - begin) * 10**6
            for key, value in stats.items():
                self.stat(event, key, value)


@pytest.fixture
def space():
    """An empty XSpace."""
    return xplane.new_space()


def test_the_messages_are_those_of_tensorflows_own_file(space):
    """Fields have their numbers and types, whichever of them are read."""
    package = importlib.util.find_spec("tensorflow")
    if package is None:
        pytest.skip("TensorFlow is not installed")
    path = Path(package.origin).parent / "tsl" / "profiler" / "protobuf" / "xplane_pb2.py"
    spec = importlib.util.spec_from_file_location("xplane_of_tensorflow", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    ours = space.DESCRIPTOR.file.message_types_by_name
    assert len(ours) == 7
    for name, message in ours.items():
        theirs = module.DESCRIPTOR.message_types_by_name[name].fields_by_name
        for field in message.fields:
            other = theirs[field.name]
            assert (field.number, field.type) == (other.number, other.type)
            assert field.is_repeated == other.is_repeated


def test_what_a_gpu_executes_for_xla_or_tensorflow_names_its_instruction_or_operation(space):
    """Lines that repeat the streams, overheads and the host do not count."""
    main = [
        instruction(1, "loop_add_fusion.3", path="jit(s)/transpose(jvp(harness-2))/add"),
        instruction(2, "cublas-gemm", path="jit(s)/jvp(harness-1)/dot_general"),
    ]
    metadata = Plane(space, "/host:metadata")
    metadata.plane.event_metadata[1].name = "jit_step(30)"
    metadata.stat(metadata.plane.event_metadata[1], "Hlo Proto", program((9, main)))
    ran = {"correlation_id": 7}
    of_xla = ran | {"hlo_module": "jit_step", "program_id": 30, "tf_op": "XlaModule:"}
    path = "gradient_tape/harness-0/harness-4/Conv2D/Conv2DBackpropInput:Conv2DBackpropInput"
    gpu = Plane(space, "/device:GPU:0")
    gpu.line(
        "Stream #13(Kernel,MemcpyH2D)",
        ("loop_add_fusion_3", 0, 10, of_xla | {"hlo_op": "loop_add_fusion.3"}),
        ("void gemm<float>(int)", 10, 40, of_xla | {"hlo_op": "cublas-gemm"}),
        ("void dgrad<float>(int)", 40, 90, ran | {"tf_op": path}),
        ("MemcpyH2D", 90, 95, ran | {"tf_op": "n/_7:_HostRecv"}),
        ("MemcpyH2D", 95, 97, ran | {"tf_op": "harness-0/harness-5/Cast:Cast"}),
        ("void fill<int>(int)", 97, 98, ran),
    )
    gpu.line("TensorFlow Ops", ("harness-4/Conv2D:Conv2D", 40, 90, {}))
    overhead = ("buffer", 0, 90, {}), ("void late<int>(int)", 98, 99, ran)
    gpu.line("CUPTI overhead", *overhead)  # so a stream is called that has one such event
    Plane(space, "/host:CPU").line("tf_Compute/1", ("harness-4/Conv2D:Conv2D", 0, 90, {}))
    spent = divide_streams(xspace.events(space, [], on_gpu=True))
    seconds = {kind: round(1e6 * one.seconds) for kind, one in spent.items()}
    assert seconds == {
        ("2", True, "loop_add_fusion"): 10,
        ("1", False, "cublas-gemm"): 30,
        ("4", True, "Conv2DBackpropInput"): 50,
        ("input", False, "MemcpyH2D"): 5,
        ("5", False, "Cast"): 2,
        (None, False, "fill"): 1,
        (None, False, "late"): 1,
    }


def test_what_a_cpu_executes_is_an_operation_an_instruction_or_input(space):
    """Also in a step of TensorFlow that XLA has compiled; what has inner events does not count."""
    path = "gradient_tape/harness-0/harness-2/MatMul"
    metadata = Plane(space, "/host:metadata")
    metadata.plane.event_metadata[1].name = "a_inference_step(7)"
    blob = program((9, [instruction(1, "dot.3", path=path)]))
    metadata.stat(metadata.plane.event_metadata[1], "Hlo Proto", blob)
    of_xla = {"hlo_module": "a_inference_step", "program_id": 7}
    Plane(space, "/host:CPU").line(
        "tf_Compute/1",
        ("harness-4/Conv2D:Conv2D", 0, 90, {}),
        ("ThunkExecutor::Execute", 90, 200, {}),
        ("while.1", 90, 200, of_xla | {"hlo_op": "while.1"}),
        ("dot.3", 100, 140, of_xla | {"hlo_op": "dot.3"}),
        ("dot.4", 140, 150, of_xla | {"hlo_op": "dot.4"}),
        ("Iterator::Prefetch", 200, 203, {}),
    )
    Plane(space, "/device:GPU:0").line("Stream #13", ("kernel", 0, 500, {"correlation_id": 7}))
    spent = divide(xspace.events(space, [], on_gpu=False))
    seconds = {kind: round(1e6 * one.seconds) for kind, one in spent.items()}
    assert seconds == {
        ("4", False, "Conv2D"): 90,
        ("2", True, "dot"): 40,
        (None, False, "dot"): 10,
        ("input", False, "Iterator"): 3,
    }


@pytest.mark.parametrize(
    ("device", "flags"),
    [("gpu", "--xla_mine=1 --xla_gpu_enable_command_buffer="), ("cpu", "--xla_mine=1")],
)
def test_xla_launches_each_kernel_alone_where_a_gpu_is_traced(monkeypatch, device, flags):
    """The user's own flags are kept."""
    monkeypatch.setenv("XLA_FLAGS", "--xla_mine=1")
    tracers.find("jax", on_gpu=device == "gpu").prepare()
    assert os.environ["XLA_FLAGS"] == flags


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
