"""Does the memory that a profile foretells agree with what a search of batch sizes finds?

Each model is profiled at one batch size; the peak that the profile foretells for other sizes is
compared with that of workers which a search started, and of two larger sizes; the batch that fits
with the largest size that fitted. Run as `python docs/evidence/memory.py`.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from harness.analyze.explain import memory
from harness.records import Measurement, Run, folders

MODELS = {"baseline": 128, "docs/examples/transformer.py:build": 64}
LIMIT_GIB = 3


def measured(*arguments: str) -> Run:
    """Run a command of the harness, and read what it measured."""
    with tempfile.TemporaryDirectory() as name:
        command = [sys.executable, "-m", "harness", *arguments, "--output", name]
        options = ["--devices", "cpu", "--memory-limit", str(LIMIT_GIB)]
        subprocess.run([*command, *options], capture_output=True, check=False)
        (folder,) = Path(name).glob("runs/*")
        return folders.read(folder)


def main() -> None:
    """Print a line per backend and model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backends", default="tensorflow,torch,jax")
    for backend in parser.parse_args().backends.split(","):
        for model, batch in MODELS.items():
            (profile,) = measured(
                "profile", model, "--batch-size", str(batch), "--backend", backend
            ).profiles
            found = memory.memory(profile)
            if found is None or found.per_sample is None or found.explained is None:
                print(backend, model, "the memory is not known")
                continue
            (search,) = measured(
                "run", model, "--batch-sizes", "auto", "--backend", backend, "--effort", "quick"
            ).searches
            larger = measured(
                *("run", model, "--batch-sizes", f"{4 * batch},{8 * batch}"),
                *("--backend", backend, "--effort", "quick"),
            )
            fitting = [one for one in search.probes if one.status == "fits" and one.peak_bytes]
            peaks = {one.batch_size: one.peak_bytes for one in fitting if one.peak_bytes}
            for outcome in larger.outcomes:
                for one in outcome.starts if isinstance(outcome, Measurement) else ():
                    size = outcome.side(one.role).batch_size
                    peaks[size] = max(peaks.get(size, 0), one.peak_rss_bytes)
            ratios = ", ".join(
                f"{size}: {(found.peak_at(size, batch) or 0.0) / peak:.2f}"
                for size, peak in peaks.items()
            )
            limit = LIMIT_GIB * 2**30
            room = [size for size, peak in peaks.items() if peak <= (1 - memory.FREE) * limit]
            ended = next((one.batch_size for one in search.probes if one.status != "fits"), None)
            print(
                f"{backend} {model} {batch}: peak {found.peak / 2**20:.0f} MiB, "
                f"{found.per_sample / 2**10:.0f} KiB per sample, layers explain "
                f"{100 * found.explained:.0f} %; {LIMIT_GIB} GiB hold "
                f"{found.largest_batch(batch, limit)}, the search found {max(room, default=0)} "
                f"to fit and {ended} to fail; foretold over found peak: {ratios}",
                flush=True,
            )


if __name__ == "__main__":
    main()
