"""Libraries in C in place of NVIDIA's driver, under the real binding; see `driver/script.h`."""

import ctypes
import shutil
import subprocess
from pathlib import Path

import pynvml

SOURCES = Path(__file__).parent / "driver"
NEWEST = 58000
DRIVERS = (47000, 51000, 53543, 53586, NEWEST)  # version times 100
FIRST = "GPU-00000000-1111-2222-3333-444444444444"
SECOND = "GPU-00000001-1111-2222-3333-444444444444"
INSTANCE = "MIG-00000002-1111-2222-3333-444444444444"
GPUS = f"gpu {FIRST} NVIDIA H100 80GB HBM3\ngpu {SECOND} NVIDIA A100\n"
MIG = f"gpu {FIRST} NVIDIA H100\nmig {INSTANCE} NVIDIA H100 MIG 1g.10gb"
VALUES = {
    "memory_total": 80 * 2**30,
    "memory_used": 3 * 2**30,
    "utilization": 87,
    "controller": 31,
    "milliwatts": 212_500,
    "counted_milliwatts": 0,  # by which the counter of energy rises
    "millijoules": 1_000_000,
    "temperature": 61,
    "clock": 1755,
    "memory_clock": 2619,
    "reasons": 4,
    "capability": 90,
    "architecture": pynvml.NVML_DEVICE_ARCH_HOPPER,
    "persistence": 1,
    "near_cpus": 2,  # a mask
}


def build(folder: Path, version: int) -> Path:
    """Compile both libraries as a driver of that version; return their folder."""
    place = folder / str(version)
    place.mkdir()
    for source, name in (("nvml.c", "libnvidia-ml.so.1"), ("cuda.c", "libcuda.so.1")):
        options = ("-shared", "-fPIC", "-O1", "-D_GNU_SOURCE", f"-DDRIVER={version}")
        subprocess.run(["cc", *options, str(SOURCES / source), "-o", str(place / name)], check=True)
    return place


def script(gpus: str = GPUS, more: str = "", **values: int) -> str:
    """What a driver answers: the usual values, and others in place of some."""
    lines = [f"set {name} {value}" for name, value in {**VALUES, **values}.items()]
    return "\n".join([gpus, "process 4711", *lines, more, ""])


class Driver:
    """A driver in place of the machine's, for this process and those that it starts.

    Args:
        built: The folder of its libraries.
        folder: Where it may write.
        monkeypatch: Undoes all of it.
    """

    def __init__(self, built: Path, folder: Path, monkeypatch) -> None:
        # Copies, so that the libraries of another test, with their counts, are not taken for these.
        self._libraries = shutil.copytree(built, folder / "libraries")
        self._script = folder / "script"
        monkeypatch.setenv("NVML_SCRIPT", str(self._script))
        monkeypatch.setenv("LD_LIBRARY_PATH", str(self._libraries))
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        monkeypatch.setattr(pynvml, "nvmlLib", None)
        monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
        monkeypatch.setattr(pynvml, "CDLL", lambda name: ctypes.CDLL(str(self._libraries / name)))
        self.answer(script())

    def answer(self, text: str) -> None:
        """Answer like that from now on."""
        self._script.write_text(text)
        self.load("libnvidia-ml.so.1").read_script()

    def load(self, name: str) -> ctypes.CDLL:
        """Load one of the two libraries."""
        return ctypes.CDLL(str(self._libraries / name))
