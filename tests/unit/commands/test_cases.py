"""Cases made from settings, and the one answer to what cannot be measured here."""

import pytest
from fakes import FakeGpu, FakeLauncher
from nvml import script

from harness.commands import cases as made
from harness.commands import options
from harness.errors import BadCase
from harness.measure.machine import visible_gpus
from harness.measure.machine.open_gpu import open_gpu
from harness.measure.machine.visible_gpus import Seen

NO_GPU = FakeGpu(name=None)


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Make the cases of given settings."""
    monkeypatch.setattr(made, "count", lambda: 2)

    def of(gpu=NO_GPU, say=print, **given):
        text = {"dataset": "synthetic", "threads": "1", **given}
        settings = options.parse(text, tmp_path, gpu)
        return made.Cases(settings, gpu, FakeLauncher, lambda case, found: None, say)

    return of


def test_a_case_is_completed_from_the_settings(make):
    """What is not named is what the user set."""
    case = make(optimizer="sgd").case(variant="baseline", batch_size=32)
    expected = ("synthetic", 32, "cpu", 1, "sgd")
    assert expected == (case.dataset, case.batch_size, case.device, case.threads, case.optimizer)


def test_a_reference_differs_in_the_fields_that_are_named(make):
    """In no other."""
    case, reference = make().comparison(variant="baseline", differs_in={"batch_size": 32})
    assert (case.batch_size, reference.batch_size) == (256, 32)
    assert reference.id == case.id.replace("b256", "b32")


def test_without_a_difference_the_reference_is_the_case_itself(make):
    """The noise floor."""
    case, reference = make().comparison(variant="baseline")
    assert case == reference


def test_a_backend_has_its_own_default_for_compiling(make):
    """JAX compiles, TensorFlow does not."""
    case, reference = make().comparison(
        variant="baseline", backend="jax", differs_in={"backend": "tensorflow"}
    )
    assert (case.jit, reference.jit) == (True, False)


@pytest.mark.parametrize(
    ("fields", "lever", "reason"),
    [
        ({}, "", None),
        ({"backend": "torch"}, "", "torch is not installed"),
        ({"device": "gpu"}, "", "no GPU: fake"),
        ({"hosts": 2}, "", "one host; docs/scaling.md says how"),
        ({"replicas": 2}, "", None),
        ({}, "tf32=off", "GPUs"),
    ],
)
def test_what_cannot_be_measured_here_has_a_reason(make, monkeypatch, fields, lever, reason):
    """One answer for suites, run and tune."""
    torch = type(made.backends.find("torch"))
    monkeypatch.setattr(torch, "missing", lambda self: "torch is not installed")
    cases = make()
    found = cases.unavailable(cases.outline(**fields), lever)
    assert (reason is None) == (found is None)
    assert (reason or "") in (found or "")


def test_more_devices_need_as_many_gpus(make, monkeypatch):
    """A CPU has as many logical devices as are wanted."""
    monkeypatch.setattr(visible_gpus, "of_framework", lambda backend, device: Seen(["a", "b"]))
    cases = make(FakeGpu())
    reasons = [cases.unavailable(cases.outline(device="gpu", replicas=n)) for n in (2, 4)]
    assert reasons == [None, "4 GPUs are needed, there are 2"]


def test_a_framework_is_asked_once_for_its_gpus(make, monkeypatch):
    """It takes seconds, in a process of its own."""
    asked = []
    monkeypatch.setattr(
        visible_gpus, "of_framework", lambda backend, device: asked.append(backend) or Seen([])
    )
    cases = make(FakeGpu())
    reasons = {cases.unavailable(cases.outline(device="gpu")) for _ in range(3)}
    assert len(reasons) == 1
    assert asked == ["tensorflow"]


def test_a_device_that_cannot_be_used_is_named_by_its_option(make):
    """In the words of the command line."""
    with pytest.raises(BadCase, match="--devices: no GPU: fake"):
        make().check_device("gpu")


def test_kernels_that_are_compiled_first_are_said_before_the_first_case(make, driver, monkeypatch):
    """Once: the first step may take half an hour."""
    driver().answer(script(capability=120))
    seen = Seen(["a GPU"], ["sm_90", "compute_90"])
    monkeypatch.setattr(visible_gpus, "of_framework", lambda backend, device: seen)
    said = []
    cases = make(open_gpu(), said.append)
    for _ in range(2):
        assert cases.unavailable(cases.outline(device="gpu")) is None
    (line,) = said
    assert "not for compute capability 12.0" in line


def test_what_a_framework_says_is_in_the_reason(make, driver, monkeypatch):
    """It knows which library is missing."""
    driver()
    seen = Seen([], said="Cannot dlopen some GPU libraries")
    monkeypatch.setattr(visible_gpus, "of_framework", lambda backend, device: seen)
    cases = make(open_gpu())
    reason = cases.unavailable(cases.outline(device="gpu"))
    assert "tensorflow sees no GPU (Cannot dlopen some GPU libraries) and would" in reason
