"""A session of NVML is recorded and replayed, byte by byte."""

import json

import pynvml
import pytest
from nvml import FIRST, script

from harness.commands import doctor
from harness.commands.parser import main
from harness.measure.machine.nvml_recording import recorded
from harness.measure.machine.open_gpu import open_gpu

RECORDED = "process 4712\ndrawing 99\nfail nvmlDeviceGetPowerUsage 3 3"


def observed():
    """All that the harness reads of a GPU, some of it several times."""
    gpu = open_gpu()
    readings = [gpu.read() for _ in range(3)]
    return gpu.facts, readings, gpu.processes(), gpu.near([0, 1]), gpu.refused


def test_a_recorded_session_is_replayed(driver, tmp_path, monkeypatch):
    """With its errors, in its order; what was not asked then is not known."""
    driver().answer(script(more=RECORDED))
    path = tmp_path / "nvml.tsv"
    with recorded(path):
        first = observed()
    assert [reading.power_watts for reading in first[1]] == [212.5, None, None]
    monkeypatch.setenv("NVML_REPLAY", str(path))
    again = tmp_path / "again"
    again.mkdir()
    its = driver(folder=again)
    its.answer(script(utilization=1, temperature=1).replace("process 4711\n", ""))
    assert observed() == first
    with pytest.raises(pynvml.NVMLError, match="Function Not Found"):
        pynvml.nvmlDeviceGetIndex(pynvml.nvmlDeviceGetHandleByUUID(FIRST))


def test_how_long_a_call_takes_is_recorded(driver, tmp_path):
    """A list of processes takes milliseconds, and a reading does not wait for one."""
    list_call = "nvmlDeviceGetComputeRunningProcesses_v3"
    driver().answer(script(more=f"delay {list_call} 4500"))
    gpu, path = open_gpu(), tmp_path / "nvml.tsv"
    with recorded(path):
        gpu.processes()
        gpu.read()
    lines = [line.split("\t") for line in path.read_text().splitlines()[1:]]
    took = {name: int(micros) for _, name, _, _, micros, _ in lines}
    assert took[list_call] >= 4500
    names = [name for _, name, *_ in lines]
    assert list_call not in names[names.index("nvmlDeviceGetUtilizationRates") :]


def test_after_a_recording_the_library_is_called_again(driver, tmp_path):
    """Nothing more is written."""
    driver()
    pynvml.nvmlInit()
    library = pynvml.nvmlLib
    with recorded(tmp_path / "nvml.tsv"):
        pynvml.nvmlDeviceGetCount()
    text = (tmp_path / "nvml.tsv").read_text()
    assert text.count("nvmlDeviceGetCount_v2") == 1
    assert pynvml.nvmlDeviceGetCount() == 2
    assert (tmp_path / "nvml.tsv").read_text() == text
    assert pynvml.nvmlLib is library


def test_doctor_records(driver, tmp_path, monkeypatch, capsys):
    """Before it says what it has found."""
    driver()
    monkeypatch.setattr(doctor.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(doctor, "frameworks", lambda gpu, versions: [])
    path = tmp_path / "nvml.tsv"
    main(["doctor", "--json", "--record-nvml", str(path)])
    texts = [finding["text"] for finding in json.loads(capsys.readouterr().out)]
    assert any(text.startswith("NVIDIA H100 80GB HBM3 (Hopper, 9.0), 80.0 GiB") for text in texts)
    calls = [line.split("\t")[1] for line in path.read_text().splitlines()[1:]]
    assert calls.count("nvmlDeviceGetPowerUsage") >= 40
    assert calls.count("nvmlDeviceGetComputeRunningProcesses_v3") < 10


def test_without_a_gpu_there_is_nothing_to_record(driver, tmp_path, capsys):
    """A line and exit code 2; so is a folder that is not there."""
    its = driver()
    assert main(["doctor", "--record-nvml", str(tmp_path / "none" / "nvml.tsv")]) == 2
    assert "cannot write" in capsys.readouterr().err
    its.answer("fail nvmlInitWithFlags 9")
    assert main(["doctor", "--record-nvml", str(tmp_path / "nvml.tsv")]) == 2
    error = capsys.readouterr().err
    assert "--record-nvml: no GPU: the NVIDIA driver is installed but not loaded" in error
