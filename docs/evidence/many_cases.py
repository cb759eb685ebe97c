"""How long do the commands take with a run of thousands of comparisons, and with how much memory?

Makes two runs out of the measurements of an example, with other names of variants and with
jittered seconds, in a temporary folder; then runs each command three times in a process of its
own. Run as `python docs/evidence/many_cases.py`.
"""

import argparse
import dataclasses
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from harness import units
from harness.records import Case, Measurement, ModelFacts, Run, run_file

EXAMPLE = Path(__file__).parents[2] / "results" / "examples" / "20261127-064503"
COMPARISONS_A_VARIANT = 4
REPEATS = 3
READ_TWO = (
    "import sys; from pathlib import Path; from harness.records import run_file; "
    "from harness.analyze import stats; "
    "[stats.logs_by_block(m) for f in sys.argv[1:] for m in run_file.read(Path(f)).outcomes]"
)
IMPORT = "import harness.records.run_file, harness.analyze.stats"


def main() -> None:
    """Make the runs and print a line a command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--comparisons", type=int, default=2000)
    parser.add_argument("--make", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.make:
        folder, seed = arguments.make
        make(Path(folder), arguments.comparisons, random.Random(seed))  # noqa: S311  (noise)
        return
    with tempfile.TemporaryDirectory() as temporary:
        one, other = f"{temporary}/one", f"{temporary}/other"
        for folder in (one, other):
            # In a process of its own: a child is charged with the memory of its parent.
            made = [__file__, "--comparisons", str(arguments.comparisons), "--make", folder, folder]
            subprocess.run([sys.executable, *made], check=True)
        size = (Path(one) / run_file.NAME).stat().st_size
        print(f"{arguments.comparisons} comparisons a run, {units.mebibytes(size)} each")
        show("import what reads and compares", ["-c", IMPORT])
        show("read two runs, their block values", ["-c", READ_TWO, one, other])
        show("harness report", ["-m", "harness", "report", one])
        if has_command("compare"):
            show("harness compare", ["-m", "harness", "compare", one, other])


def make(folder: Path, comparisons: int, noise: random.Random) -> None:
    """Write a run like one of `pytest suites/` with a great many variants."""
    folder.mkdir()
    example = run_file.read(EXAMPLE)
    lines = map(run_file.line, outcomes(example, comparisons, noise))
    run_file.write(folder, dataclasses.replace(example, id=folder.name, ladders=()), lines)


def outcomes(example: Run, comparisons: int, noise: random.Random) -> Iterator[Measurement]:
    """Yield a variant's noise floor, two larger batches, and it against the baseline, in turn."""
    known = {m.key: m for m in example.outcomes if isinstance(m, Measurement)}
    base = Case("baseline", "mnist", 256, threads=2)
    models = {
        name: known[f"{dataclasses.replace(base, variant=name).id}~{base.id}"]
        for name in ("quarter_width", "half_width", "double_width", "no_dropout")
    }
    sizes = {
        size: known[f"{dataclasses.replace(base, batch_size=size).id}~{base.id}"]
        for size in (256, 1024, 4096)
    }
    for number in range(comparisons // COMPARISONS_A_VARIANT):
        its = dataclasses.replace(base, variant=f"models.py:net_{number:04}")
        speed = noise.lognormvariate(0.0, 0.3)
        model = models[noise.choice(list(models))]
        facts = dataclasses.replace(
            model.facts,
            parameters=round(model.facts.parameters / speed),
            macs_per_sample=round((model.facts.macs_per_sample or 0) / speed),
        )
        for size, measured in sizes.items():
            larger = dataclasses.replace(its, batch_size=size)
            both = dataclasses.replace(measured, reference=its, reference_facts=facts)
            yield jittered(both, larger, facts, speed, noise)
        yield jittered(model, its, facts, speed, noise)


def jittered(
    measured: Measurement, case: Case, facts: ModelFacts, speed: float, noise: random.Random
) -> Measurement:
    """Turn a measurement into one of another case."""
    own = case.variant == measured.reference.variant
    factor = {"case": 1 / speed, "reference": 1 / speed if own else 1.0}
    rounds = tuple(
        dataclasses.replace(r, seconds=r.seconds * factor[r.role] * noise.lognormvariate(0.0, 0.01))
        for r in measured.rounds
    )
    return dataclasses.replace(measured, case=case, facts=facts, rounds=rounds)


def has_command(name: str) -> bool:
    """Whether this version has such a command."""
    asked = [sys.executable, "-m", "harness", name, "--help"]
    return subprocess.run(asked, capture_output=True, check=False).returncode == 0


def show(what: str, arguments: list[str]) -> None:
    """Run Python so often and print the median of its seconds, and of its peak memory."""
    found = [spent(arguments) for _ in range(REPEATS)]
    seconds, peak_bytes = (median(values) for values in zip(*found, strict=True))
    print(f"{what}: {units.seconds(seconds)}, {units.mebibytes(peak_bytes)} at most", flush=True)


def spent(arguments: list[str]) -> tuple[float, int]:
    """Return seconds and peak resident memory of one process."""
    begin = time.perf_counter()
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):  # 1: a comparison failed, or is slower
        raise SystemExit(f"{' '.join(arguments)} ended with {process.returncode}")
    return seconds, usage.ru_maxrss * 1024


if __name__ == "__main__":
    main()
