"""How long does it take to go on with a run of a million rounds, and with how much memory?

Writes the journal of a run of thousands of comparisons, rounds, blocks and outcomes as they would
have been written, in a temporary folder; then reads it as `--resume` does, in a process of its
own. Run as `python docs/evidence/long_journal.py`.
"""

import argparse
import json
import random
import tempfile
from pathlib import Path

from many_cases import EXAMPLE, outcomes, show

from harness import units
from harness.records import Measurement, journal, run_file, to_json

READ = (
    "import sys; from pathlib import Path; from harness.records.resume import ResumedRun; "
    "run = ResumedRun.read(Path(sys.argv[1])); assert len(run.records['outcome']) > 1"
)


def main() -> None:
    """Write the journal and print a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1_000_000)
    wanted = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        comparisons, rounds = write(folder, wanted)
        size = (folder / journal.NAME).stat().st_size
        print(f"{comparisons} comparisons, {rounds} rounds, {units.mebibytes(size)}")
        show("read it as --resume does", ["-c", READ, temporary])


def write(folder: Path, wanted: int) -> tuple[int, int]:
    """Write a journal with at least so many rounds; count its comparisons and rounds."""
    example = run_file.read(EXAMPLE)
    comparisons = rounds = 0
    with (folder / journal.NAME).open("wb") as file:

        def line(kind: str, **entry: object) -> None:
            file.write(journal.sealed(json.dumps({"kind": kind, **entry})))

        line(
            "run",
            schema=journal.SCHEMA,
            started_at=example.started_at,
            protocol=to_json(example.protocol),
            machine=to_json(example.machine),
        )
        noise = random.Random(1)  # noqa: S311  (noise)
        for m in outcomes(example, 4 * wanted, noise):
            for number in sorted({r.block for r in m.rounds}):
                its = [to_json(r) for r in m.rounds if r.block == number]
                for a_round in its:
                    line("round", key=m.key, round=a_round)
                line("block", key=m.key, block=block(m, number, its))
            line("outcome", outcome=to_json(m), wall_seconds=1.0)
            comparisons, rounds = comparisons + 1, rounds + len(m.rounds)
            if rounds >= wanted:
                return comparisons, rounds
    raise SystemExit("too few rounds")


def block(m: Measurement, number: int, rounds: list[dict[str, object]]) -> dict[str, object]:
    """The entry of a block."""
    share = {"steps": m.steps, "rounds": m.pairs, "fit_steps": 2}
    return {
        "plan": {"case": share, "reference": {**share, "steps": m.reference_steps}},
        "rounds": rounds,
        "starts": [to_json(s) for s in m.starts if s.block == number],
        "facts": {"case": to_json(m.facts), "reference": to_json(m.reference_facts)},
        "surroundings": None,
    }


if __name__ == "__main__":
    main()
