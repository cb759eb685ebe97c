"""`harness compare --page` of 500 runs: seconds, and the memory of all its processes.

Run as `python docs/evidence/fleet.py`. The runs are made of three measured ones: each machine is of
one of five kinds, and the seconds of a run are those of the measured one times a factor of its kind
and one of its own. Fifty are no use: damaged, without `run.json`, or of another protocol. Prints
the figures, and how many runs are on the page and how many are lines.
"""

import argparse
import dataclasses
import json
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness.records import Measurement, Run, run_file

EXAMPLES = Path(__file__).parents[2] / "results" / "examples"
MEASURED = ("20261127-064503", "20261127-115014", "20261127-162057")
KINDS = {f"CPU of kind {kind}": 1 + 0.3 * kind for kind in range(5)}


def made(run: Run, name: str, rng: random.Random) -> Run:
    """A run of another machine."""
    cpu, factor = rng.choice([*KINDS.items()])
    factor *= rng.lognormvariate(0.0, 0.02)

    def slower(outcome: Measurement) -> Measurement:
        rounds = tuple(
            dataclasses.replace(one, seconds=one.seconds * factor) for one in outcome.rounds
        )
        return dataclasses.replace(outcome, rounds=rounds)

    outcomes = tuple(slower(o) if isinstance(o, Measurement) else o for o in run.outcomes)
    machine = dataclasses.replace(run.machine, cpu=cpu)
    return dataclasses.replace(run, id=name, machine=machine, outcomes=outcomes)


def write(folder: Path, count: int, rng: random.Random) -> None:
    """Make so many runs, a tenth of them of no use."""
    runs = [run_file.read(EXAMPLES / name) for name in MEASURED]
    for number in range(count):
        name = f"run-{number:03}"
        place = folder / name
        place.mkdir()
        run = made(rng.choice(runs), name, rng)
        if number % 30 == 7:
            run = dataclasses.replace(run, protocol=dataclasses.replace(run.protocol, version=1))
        if number % 30 != 17:
            run_file.write(place, run)
        if number % 30 == 27:
            text = (place / run_file.NAME).read_text(encoding="utf-8")
            (place / run_file.NAME).write_text(text[: rng.randrange(len(text))], encoding="utf-8")


def main() -> None:
    """Make the runs, compare them, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--page", type=Path, help="keep the page")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, arguments.runs, random.Random(7))  # noqa: S311
        page = folder / "fleet.html"
        command = [sys.executable, "-m", "harness", "compare", *map(str, folder.glob("run-*"))]
        begin = time.monotonic()
        shown = subprocess.run(
            [*command, "--page", str(page), "--json"], check=True, capture_output=True, text=True
        )
        seconds = time.monotonic() - begin
        found = json.loads(shown.stdout)
        # The largest of its processes; there are at most eight, and the first one.
        largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(
            f"{arguments.runs} runs: {seconds:.1f} s, largest process {largest:.0f} MiB; "
            f"{len(found['runs'])} on the page, {len(found['notes'])} lines, "
            f"{len(found['ranking'])} rows, page {page.stat().st_size / 1e6:.1f} MB"
        )
        if arguments.page is not None:
            shutil.copy(page, arguments.page)


if __name__ == "__main__":
    main()
