"""NVML, call by call: what is refused is missing with its reason, the rest is read."""

import dataclasses

import pynvml
import pytest
from fakes import FakeNvml

from harness.measure.machine import visible_gpus
from harness.measure.machine.gpu import NoGpu, NvmlGpu, open_gpu
from harness.records import GpuReading

NOT_SUPPORTED = pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
NO_PERMISSION = pynvml.NVMLError(pynvml.NVML_ERROR_NO_PERMISSION)
LOST = pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)
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


def sees(*uuids):
    """CUDA, asked for its devices."""
    return lambda: list(uuids)


def silent():
    raise visible_gpus.NotListed("libcuda.so.1: cannot open shared object file")


@pytest.fixture(autouse=True)
def nothing_chosen(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_everything_that_nvml_tells_is_read():
    """In SI units."""
    gpu = open_gpu(FakeNvml(), sees("GPU-a"))
    assert gpu.read() == WHOLE
    assert gpu.processes() == frozenset({4711})
    assert gpu.refused == {}
    facts = dataclasses.asdict(gpu.facts)
    assert facts == {
        "name": "Fake GPU-a",
        "uuid": "GPU-a",
        "pci_bus_id": "00000000:17:00.0",
        "driver": "580.95.05",
        "cuda": "13.0",
        "memory_bytes": 80 * 2**30,
        "chosen_by": "CUDA's own order",
        "refused": {},
    }


@pytest.mark.parametrize("error", [NOT_SUPPORTED, NO_PERMISSION, LOST])
@pytest.mark.parametrize(
    ("call", "missing"),
    [
        ("nvmlDeviceGetUtilizationRates", ["utilization_percent", "controller_percent"]),
        ("nvmlDeviceGetMemoryInfo", ["memory_bytes"]),
        ("nvmlDeviceGetPowerUsage", ["power_watts"]),
        ("nvmlDeviceGetTotalEnergyConsumption", ["energy_joules"]),
        ("nvmlDeviceGetTemperature", ["temperature_celsius"]),
        ("nvmlDeviceGetClockInfo", ["sm_clock_mhz", "memory_clock_mhz"]),
        ("nvmlDeviceGetCurrentClocksThrottleReasons", ["throttle_reasons"]),
    ],
)
def test_a_refused_reading_is_missing_with_its_reason_and_the_others_are_read(call, missing, error):
    """Each call fails in turn, each in its own way."""
    gpu = open_gpu(FakeNvml(fail={call: error}), sees("GPU-a"))
    assert gpu.read() == dataclasses.replace(WHOLE, **dict.fromkeys(missing))
    assert set(gpu.refused) <= set(missing)
    assert set(gpu.refused.values()) == {str(error)}
    assert gpu.facts.refused == gpu.refused


@pytest.mark.parametrize(
    ("call", "fact"),
    [
        ("nvmlDeviceGetUUID", "uuid"),
        ("nvmlDeviceGetPciInfo", "pci_bus_id"),
        ("nvmlDeviceGetMemoryInfo", "memory_bytes"),
        ("nvmlSystemGetDriverVersion", "driver"),
        ("nvmlSystemGetCudaDriverVersion", "cuda"),
    ],
)
def test_a_refused_fact_is_missing_with_its_reason(call, fact):
    """The GPU is used all the same."""
    gpu = open_gpu(FakeNvml(fail={call: NOT_SUPPORTED}), sees("GPU-a"))
    assert getattr(gpu.facts, fact) is None
    assert gpu.facts.refused[fact] == "Not Supported"
    assert gpu.name == "Fake GPU-a"


def test_a_gpu_without_a_name_is_one():
    """A name is no reason to measure nothing."""
    gpu = open_gpu(FakeNvml(fail={"nvmlDeviceGetName": NO_PERMISSION}), sees("GPU-a"))
    assert gpu.name == "unnamed GPU"


def test_without_its_uuid_a_gpu_is_named_to_cuda_by_its_place():
    """NVML counts in PCI order, and so does a worker's CUDA."""
    gpu = open_gpu(FakeNvml(fail={"nvmlDeviceGetUUID": NO_PERMISSION}), silent)
    assert gpu.cuda_device == "0"


def test_a_gpu_lost_on_the_way_leaves_reasons_and_no_exception():
    """And it is read again if it comes back."""
    nvml = FakeNvml()
    gpu = open_gpu(nvml, sees("GPU-a"))
    lost = [name for name in FakeNvml.ANSWERS if name.startswith("nvmlDeviceGet")]
    nvml.fail = dict.fromkeys(lost, LOST)
    assert gpu.read() == GpuReading()
    assert gpu.processes() is None
    assert {"GPU is lost"} == set(gpu.refused.values())
    nvml.fail = {}
    assert gpu.read() == WHOLE


def test_processes_that_only_draw_count_too():
    """A desktop takes time from a training."""
    nvml = FakeNvml()
    nvml.nvmlDeviceGetGraphicsRunningProcesses = nvml.nvmlDeviceGetComputeRunningProcesses
    nvml.nvmlDeviceGetComputeRunningProcesses = lambda uuid: []
    assert open_gpu(nvml, sees("GPU-a")).processes() == frozenset({4711})


def test_processes_that_are_not_listed_are_unknown_and_not_none():
    """As under MIG, or without permission."""
    nvml = FakeNvml(fail={"nvmlDeviceGetComputeRunningProcesses": NO_PERMISSION})
    gpu = open_gpu(nvml, sees("GPU-a"))
    assert gpu.processes() is None
    assert gpu.refused["processes"] == str(NO_PERMISSION)


def test_the_gpu_that_cuda_counts_first_is_taken():
    """CUDA may count the other way round than NVML."""
    gpu = open_gpu(FakeNvml(["GPU-a", "GPU-b"]), sees("GPU-b", "GPU-a"))
    assert (gpu.name, gpu.cuda_device) == ("Fake GPU-b", "GPU-b")


def test_a_mig_instance_is_found_by_its_own_uuid():
    """CUDA gives its bytes without saying that it is one."""
    nvml = FakeNvml(["GPU-a", "MIG-b"], fail={"nvmlDeviceGetUtilizationRates": NOT_SUPPORTED})
    gpu = open_gpu(nvml, sees("GPU-b"))
    assert (gpu.name, gpu.cuda_device) == ("Fake MIG-b", "MIG-b")
    assert gpu.read().utilization_percent is None
    assert gpu.read().memory_bytes == 3 * 2**30


@pytest.mark.parametrize(
    ("shown", "name"),
    [
        (None, "Fake GPU-aa"),
        ("1", "Fake GPU-bb"),
        ("1,0", "Fake GPU-bb"),
        ("GPU-b", "Fake GPU-bb"),
        ("MIG-c", "Fake MIG-c"),
        ("", None),
        ("-1", None),
        ("7,0", None),
        ("GPU-", None),
    ],
)
def test_where_cuda_cannot_be_asked_its_variable_is_read_as_cuda_does(monkeypatch, shown, name):
    """In PCI order, cut at the first name that is unknown."""
    if shown is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", shown)
    gpu = open_gpu(FakeNvml(["GPU-aa", "GPU-bb", "MIG-c"]), silent)
    assert gpu.name == name
    if name is None:
        assert f"CUDA_VISIBLE_DEVICES is {shown!r}" in gpu.reason
    else:
        assert "PCI order (libcuda.so.1: cannot open" in gpu.facts.chosen_by


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, "no NVIDIA driver is installed"),
        (pynvml.NVML_ERROR_DRIVER_NOT_LOADED, "installed but not loaded"),
        (pynvml.NVML_ERROR_NO_PERMISSION, "Insufficient Permissions"),
        (pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH, "reboot"),
    ],
)
def test_why_there_is_no_gpu_is_said(code, reason):
    """And nothing is raised."""
    gpu = open_gpu(FakeNvml(fail={"nvmlInit": pynvml.NVMLError(code)}), silent)
    assert isinstance(gpu, NoGpu)
    assert reason in gpu.reason
    assert (gpu.read(), gpu.processes(), gpu.facts) == (GpuReading(), None, None)


def test_a_driver_without_a_gpu_is_no_gpu():
    """As on a machine whose card was taken out."""
    assert open_gpu(FakeNvml([]), silent).reason == "no GPU: the NVIDIA driver lists no GPU"


def test_a_gpu_that_nvml_refuses_is_no_gpu():
    """With the reason."""
    nvml = FakeNvml(fail={"nvmlDeviceGetHandleByUUID": LOST})
    assert open_gpu(nvml, sees("GPU-a")).reason == "no GPU: NVML cannot read it (GPU is lost)"


@pytest.mark.parametrize("name", [*FakeNvml.ANSWERS, "nvmlInit", "nvmlDeviceGetHandleByUUID"])
def test_the_library_has_every_function_that_is_called(name):
    """A stand-in must not know more than what it stands for."""
    assert callable(getattr(pynvml, name))


def test_this_machine_is_opened_without_an_exception():
    """Whatever it has."""
    gpu = open_gpu()
    assert isinstance(gpu, NvmlGpu) or gpu.reason.startswith("no GPU: ")


class FakeCuda:
    """`libcuda.so.1` of a machine with so many devices."""

    def __init__(self, devices, code=0):
        self.cuDeviceGetUuid_v2 = self.uuid
        self._devices, self._code = devices, code

    def cuInit(self, flags):
        return self._code

    def cuDeviceGetCount(self, count):
        count._obj.value = len(self._devices)
        return 0

    def cuDeviceGet(self, device, ordinal):
        device._obj.value = ordinal
        return 0

    def uuid(self, raw, device):
        for place, byte in enumerate(self._devices[device.value].bytes):
            raw._obj[place] = byte
        return 0


def test_cuda_is_asked_for_its_devices_in_its_order():
    """By the driver's own functions."""
    import uuid

    devices = [uuid.UUID(int=2**100 + 7), uuid.UUID(int=5)]
    assert visible_gpus.list_uuids(FakeCuda(devices)) == [f"GPU-{device}" for device in devices]


def test_cuda_without_a_device_sees_none():
    """CUDA_ERROR_NO_DEVICE: hidden, or not there."""
    assert visible_gpus.list_uuids(FakeCuda([], code=100)) == []


def test_cuda_that_fails_says_with_what():
    """As with a driver that is too old."""
    with pytest.raises(visible_gpus.NotListed, match="cuInit failed with 803"):
        visible_gpus.list_uuids(FakeCuda([], code=803))


def test_cuda_is_asked_in_a_process_of_its_own():
    """Which says why it cannot be, where there is no driver."""
    try:
        found = visible_gpus.of_cuda()
    except visible_gpus.NotListed as error:
        assert "libcuda" in str(error)
    else:
        assert all(name.startswith("GPU-") for name in found)
