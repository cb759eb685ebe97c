"""NVML and CUDA as drivers have them, under the real binding: what is refused is missing."""

import contextlib
import dataclasses
import json
import subprocess

import nvml
import pynvml
import pytest
from nvml import FIRST, GPUS, INSTANCE, MIG, NEWEST, SECOND, script

from harness.measure.machine import gpu as gpus
from harness.measure.machine import visible_gpus
from harness.measure.machine.gpu import NoGpu, NvmlGpu
from harness.measure.machine.open_gpu import open_gpu
from harness.measure.machine.visible_gpus import Seen
from harness.records import GpuReading

NOT_SUPPORTED, NO_PERMISSION, LOST = 3, 4, 15
WHOLE = GpuReading(
    utilization_percent=87.0,
    controller_percent=31.0,
    memory_bytes=3 * 2**30,
    power_watts=212.5,
    energy_joules=1000.0,
    temperature_celsius=61.0,
    sm_clock_mhz=1755.0,
    memory_clock_mhz=2619.0,
    throttle_reasons=4,
)


@pytest.fixture
def opened(driver, monkeypatch):
    """Open the GPU of a driver that answers so; CUDA is asked in this process."""

    def of(answers=None, version=NEWEST):
        its = driver(version)
        its.answer(script() if answers is None else answers)
        asked = its.load("libcuda.so.1")
        monkeypatch.setattr(visible_gpus, "of_cuda", lambda: visible_gpus.list_uuids(asked))
        gpu = open_gpu()
        gpu.driver = its
        return gpu

    return of


def refusing(*rules, gpus=GPUS):
    return script(gpus, "\n".join(f"fail {rule}" for rule in rules))


@pytest.mark.parametrize("version", nvml.DRIVERS)
def test_everything_that_nvml_tells_is_read(opened, version):
    """From each driver, whatever its functions and layouts are."""
    gpu = opened(script(more="process 4712\nprocess 4713\ndrawing 99"), version)
    assert gpu.read() == WHOLE
    assert gpu.processes() == {4711, 4712, 4713, 99}
    assert gpu.refused == {}
    assert dataclasses.asdict(gpu.facts) == {
        "name": "NVIDIA H100 80GB HBM3",
        "uuid": FIRST,
        "pci_bus_id": "00000000:17:00.0",
        "driver": f"{version // 100}.{version % 100:02}.05",
        "cuda": {470: "11.4", 510: "11.6", 535: "12.2", 580: "13.0"}[version // 100],
        "memory_bytes": 80 * 2**30,
        "chosen_by": "CUDA's own order",
        "compute_capability": "9.0",
        "architecture": "Hopper",
        "persistence_mode": True,
        "is_mig": False,
        "locked_mhz": None,
        "refused": {},
    }


READINGS = [
    ("nvmlDeviceGetUtilizationRates", ["utilization_percent", "controller_percent"]),
    ("nvmlDeviceGetMemoryInfo", ["memory_bytes"]),
    ("nvmlDeviceGetPowerUsage", ["power_watts"]),
    ("nvmlDeviceGetTotalEnergyConsumption", ["energy_joules"]),
    ("nvmlDeviceGetTemperature*", ["temperature_celsius"]),
    ("nvmlDeviceGetClockInfo", ["sm_clock_mhz", "memory_clock_mhz"]),
    ("nvmlDeviceGetCurrentClocks*", ["throttle_reasons"]),
]


@pytest.mark.parametrize("code", [NOT_SUPPORTED, NO_PERMISSION, LOST])
@pytest.mark.parametrize(("call", "missing"), READINGS)
def test_a_refused_reading_is_missing_with_its_reason_and_the_others_are_read(
    opened, call, missing, code
):
    """Each call fails in turn, each in its own way."""
    gpu = opened(refusing(f"{call} {code}"))
    assert gpu.read() == dataclasses.replace(WHOLE, **dict.fromkeys(missing))
    assert set(gpu.refused) <= set(missing)
    assert set(gpu.refused.values()) == {str(pynvml.NVMLError(code))}
    assert gpu.facts.refused == gpu.refused


@pytest.mark.parametrize(("call", "missing"), READINGS)
def test_a_function_that_the_binding_lacks_is_a_missing_reading(opened, monkeypatch, call, missing):
    """Several of them leave with CUDA 14; what replaces one is used where it is there."""
    older = call.removesuffix("*")
    older += "ThrottleReasons" if older.endswith("Clocks") else ""
    monkeypatch.delattr(pynvml, older)
    gpu = opened()
    has_another = call.endswith("*")
    expected = {} if has_another else dict.fromkeys(missing)
    assert gpu.read() == dataclasses.replace(WHOLE, **expected)
    assert bool(gpu.refused) != has_another


def test_a_newer_function_that_a_driver_refuses_has_its_elder(opened):
    """As one that wants another version of its argument."""
    version_mismatch = 25
    assert opened(refusing(f"nvmlDeviceGetTemperatureV {version_mismatch}")).read() == WHOLE


def test_where_all_of_the_functions_are_gone_the_reading_is_missing(opened, monkeypatch):
    """Its reason says so."""
    for name in ("nvmlDeviceGetTemperature", "nvmlDeviceGetTemperatureV"):
        monkeypatch.delattr(pynvml, name)
    gpu = opened()
    assert gpu.read() == dataclasses.replace(WHOLE, temperature_celsius=None)
    assert gpu.refused == {"temperature_celsius": "Function Not Found"}


@pytest.mark.parametrize(
    ("call", "fact"),
    [
        ("nvmlDeviceGetUUID", "uuid"),
        ("nvmlDeviceGetPciInfo_v3", "pci_bus_id"),
        ("nvmlDeviceGetMemoryInfo", "memory_bytes"),
        ("nvmlSystemGetDriverVersion", "driver"),
        ("nvmlSystemGetCudaDriverVersion", "cuda"),
        ("nvmlDeviceGetCudaComputeCapability", "compute_capability"),
        ("nvmlDeviceGetArchitecture", "architecture"),
        ("nvmlDeviceGetPersistenceMode", "persistence_mode"),
    ],
)
def test_a_refused_fact_is_missing_with_its_reason(opened, call, fact):
    """The GPU is used all the same."""
    gpu = opened(refusing(f"{call} {NOT_SUPPORTED}"))
    assert getattr(gpu.facts, fact) is None
    assert gpu.facts.refused[fact] == "Not Supported"
    assert gpu.name == "NVIDIA H100 80GB HBM3"


def test_a_gpu_without_a_name_is_one(opened):
    """A name is no reason to measure nothing."""
    assert opened(refusing(f"nvmlDeviceGetName {NO_PERMISSION}")).name == "unnamed GPU"


def test_without_its_uuid_a_gpu_is_named_to_cuda_by_its_place(opened, monkeypatch):
    """NVML counts in PCI order, and so does a worker's CUDA."""
    gpu = opened(refusing(f"nvmlDeviceGetUUID {NO_PERMISSION}", "cuInit 999"))
    assert (gpu.cuda_device, gpu.facts.uuid) == ("0", None)
    assert gpu.facts.chosen_by == "PCI order (cuInit failed with 999)"


def test_a_gpu_lost_on_the_way_leaves_reasons_and_no_exception(opened):
    """And it is read again if it comes back."""
    gpu = opened()
    gpu.driver.answer(refusing(f"nvmlDevice* {LOST} 5"))  # each from its fifth call on
    for _ in range(4):
        assert gpu.read().temperature_celsius == 61.0
    for _ in range(2):
        gpu.read()
    assert gpu.read() == GpuReading()
    gpu.driver.answer(refusing(f"nvmlDevice* {LOST}"))
    assert gpu.read() == GpuReading()
    assert gpu.processes() is None
    assert {"GPU is lost"} == set(gpu.refused.values())
    gpu.driver.answer(script())
    assert gpu.read() == WHOLE


def test_processes_that_are_not_listed_are_unknown_and_not_none(opened):
    """As without permission."""
    gpu = opened(refusing(f"nvmlDeviceGetComputeRunningProcesses* {NO_PERMISSION}"))
    assert gpu.processes() is None
    assert gpu.refused["processes"] == "Insufficient Permissions"


def test_a_list_of_processes_in_another_layout_is_unknown(opened, monkeypatch):
    """A driver whose list the binding misreads, and of which that is not known here."""
    monkeypatch.setattr(gpus, "_OTHER_LAYOUT", ((0, 0), (0, 0)))
    gpu = opened(script(more="process 4712\nprocess 4713"), 53543)
    assert gpu.processes() is None
    assert gpu.refused["processes"] == "the driver's list has a layout that nvidia-ml-py lacks"


def test_no_process_is_an_empty_list(opened):
    """And not an unknown one."""
    assert opened(script().replace("process 4711\n", "")).processes() == frozenset()


def test_the_gpu_that_cuda_counts_first_is_taken(opened):
    """CUDA may count the other way round than NVML."""
    gpu = opened(script(more="order 1 0"))
    assert (gpu.name, gpu.cuda_device) == ("NVIDIA A100", SECOND)


def test_a_gpu_whose_uuid_nvml_does_not_look_up_is_found_by_comparing(opened):
    """Its index would do, were CUDA's order NVML's."""
    rule = f"nvmlDeviceGetHandleByUUID {NO_PERMISSION}"
    gpu = opened(script(more=f"order 1 0\nfail {rule}"))
    assert gpu.name == "NVIDIA A100"


def test_a_mig_instance_is_found_by_its_own_uuid_and_says_once_what_it_lacks(opened):
    """CUDA gives its bytes without saying that it is one."""
    gpu = opened(script(MIG, "order 1"))
    assert (gpu.name, gpu.cuda_device) == ("NVIDIA H100 MIG 1g.10gb", INSTANCE)
    assert gpu.facts.is_mig
    assert gpu.read() == GpuReading(memory_bytes=3 * 2**30)
    assert set(gpu.facts.refused.values()) == {"NVML has no such counter of a MIG instance"}


@pytest.mark.parametrize(
    ("shown", "uuid"),
    [
        (None, FIRST),
        ("1", SECOND),
        ("1,0", SECOND),
        (SECOND[:14], SECOND),
        (INSTANCE, INSTANCE),
        ("", None),
        ("-1", None),
        ("7,0", None),
        ("GPU-", None),
    ],
)
def test_where_cuda_cannot_be_asked_its_variable_is_read_as_cuda_does(
    opened, monkeypatch, shown, uuid
):
    """In PCI order, cut at the first name that is unknown."""
    answers = script(f"{GPUS}mig {INSTANCE} instance", "fail cuInit 803")
    opened(answers)
    if shown is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", shown)
    gpu = open_gpu()
    assert gpu.cuda_device == uuid
    if uuid is None:
        assert f"CUDA_VISIBLE_DEVICES is {shown!r}" in gpu.reason
    else:
        assert "PCI order (cuInit failed with 803)" in gpu.facts.chosen_by


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, "no NVIDIA driver is installed"),
        (pynvml.NVML_ERROR_DRIVER_NOT_LOADED, "installed but not loaded"),
        (pynvml.NVML_ERROR_NO_PERMISSION, "Insufficient Permissions"),
        (pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH, "reboot"),
    ],
)
def test_why_there_is_no_gpu_is_said(driver, code, reason):
    """And nothing is raised."""
    driver().answer(refusing(f"nvmlInitWithFlags {code}"))
    gpu = open_gpu()
    assert isinstance(gpu, NoGpu)
    assert reason in gpu.reason
    assert (gpu.read(), gpu.processes(), gpu.facts) == (GpuReading(), None, None)
    assert gpu.near([1, 0]) == [1, 0]
    with gpu.locked(1000):
        assert gpu.refused == {}
    assert gpus.installed() == 0


def test_a_driver_without_a_gpu_is_no_gpu(opened, driver):
    """As on a machine whose card was taken out."""
    driver().answer("")
    assert open_gpu().reason == "no GPU: the NVIDIA driver lists no GPU"


def test_a_gpu_that_nvml_refuses_is_no_gpu(driver):
    """With the reason."""
    driver().answer(refusing(f"nvmlDeviceGetHandle* {LOST}"))
    assert open_gpu().reason == "no GPU: NVML cannot read it (GPU is lost)"


def test_this_machine_is_opened_without_an_exception():
    """Whatever it has."""
    gpu = open_gpu()
    assert isinstance(gpu, NvmlGpu) or gpu.reason.startswith("no GPU: ")


def test_gpus_are_counted(driver, monkeypatch):
    """As the variable shows them, else all."""
    driver()
    assert gpus.count() == 2
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1, -1,")
    assert gpus.count() == 1


def test_the_cpus_near_the_gpu_come_first(opened):
    """As many as there are; a driver that does not tell leaves the order."""
    gpu = opened(script(near_cpus=0b1100))
    assert gpu.near([0, 1, 2, 3]) == [2, 3, 0, 1]
    assert gpu.near([1, 70]) == [1, 70]  # none of them is near
    gpu.driver.answer(refusing(f"nvmlDeviceGetCpuAffinity {NOT_SUPPORTED}"))
    assert gpu.near([0, 1, 2, 3]) == [0, 1, 2, 3]
    assert gpu.refused == {}


def test_the_clock_is_held_and_let_go(opened):
    """Also after an error."""
    gpu = opened()
    with contextlib.suppress(KeyboardInterrupt), gpu.locked(1200):
        assert (gpu.read().sm_clock_mhz, gpu.facts.locked_mhz) == (1200.0, 1200)
        raise KeyboardInterrupt
    assert gpu.read().sm_clock_mhz == 1755.0


def test_a_clock_is_left_alone_unasked(opened):
    """Nor is anything refused."""
    gpu = opened()
    with gpu.locked(None):
        assert (gpu.read(), gpu.refused) == (WHOLE, {})


def test_a_clock_that_cannot_be_held_is_said(opened):
    """Only root may; the run goes on."""
    gpu = opened(refusing(f"nvmlDeviceSetGpuLockedClocks {NO_PERMISSION}"))
    with gpu.locked(1200):
        assert gpu.read() == WHOLE
    assert gpu.facts.refused == {"locked_clock": "Insufficient Permissions"}
    assert gpu.facts.locked_mhz is None


def test_cuda_without_a_device_sees_none(driver):
    """CUDA_ERROR_NO_DEVICE: hidden, or not there."""
    its = driver()
    its.answer(script(gpus=""))
    assert visible_gpus.list_uuids(its.load("libcuda.so.1")) == []


@pytest.mark.parametrize(
    ("rule", "said"),
    [("cuInit 803", "cuInit failed with 803"), ("cuDeviceGetUuid 1", "cuDeviceGetUuid failed")],
)
def test_cuda_that_fails_says_with_what(driver, rule, said):
    """As with a driver that is too old."""
    its = driver()
    its.answer(refusing(rule))
    with pytest.raises(visible_gpus.NotListed, match=said):
        visible_gpus.list_uuids(its.load("libcuda.so.1"))


def test_cuda_is_asked_in_a_process_of_its_own(driver):
    """By the driver's own functions, in its own order."""
    its = driver()
    its.answer(script(more="order 1 0"))
    assert visible_gpus.of_cuda() == [SECOND, FIRST]
    its.answer(refusing("cuInit 803"))
    with pytest.raises(visible_gpus.NotListed, match=r"cannot be used: cuInit failed with 803"):
        visible_gpus.of_cuda()


@pytest.fixture
def printing(monkeypatch):
    """A framework that sees so many GPUs and prints so much; the environments that it got."""
    given = []

    def of(gpus, printed):
        def run(command, **more):
            given.append(more["env"])
            answer = json.dumps({"gpus": gpus, "kernels": ["sm_90"]})
            return subprocess.CompletedProcess(command, 0, f"noise\n{answer}\n", printed)

        monkeypatch.setattr(visible_gpus.subprocess, "run", run)
        return given

    return of


DLOPEN = """I0000 00:00:1.1 4930 port.cc:153] oneDNN custom operations are on. GPU or not.
E0000 external/local_xla/cuda_fft.cc:477] Unable to register cuFFT factory
W0000 gpu_device.cc:2342] Cannot dlopen some GPU libraries. Skipping registering GPU devices...
"""


def test_a_framework_s_own_words_are_the_reason(printing, monkeypatch):
    """Not what TensorFlow always prints; a user's own log level does not hide them."""
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    given = printing([], DLOPEN)
    seen = visible_gpus.of_framework("tensorflow", FIRST)
    assert seen == Seen(
        [], ["sm_90"], "Cannot dlopen some GPU libraries. Skipping registering GPU devices..."
    )
    assert given[0]["TF_CPP_MIN_LOG_LEVEL"] == "0"
    printing(["a GPU"], DLOPEN)
    assert visible_gpus.of_framework("tensorflow", FIRST) == Seen(["a GPU"], ["sm_90"])


@pytest.mark.parametrize(
    ("kernels", "capability", "late"),
    [
        (["sm_60", "sm_80", "compute_90"], "8.9", False),
        (["sm_60", "sm_80", "compute_90"], "9.0", True),
        (["sm_90a"], "9.0", False),
        (["sm_90a"], "9.1", True),
        (["sm_120"], "12.0", False),
        (["sm_120"], "10.0", True),
        (["sm_86"], "8.0", True),
        ([], "9.0", False),
        (["sm_80"], None, False),
    ],
)
def test_kernels_that_are_compiled_first_are_known(kernels, capability, late):
    """A build has none for a GPU that came after it."""
    assert Seen(["a GPU"], kernels).compiles_first(capability) is late
