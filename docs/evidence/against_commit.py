"""How long does a command take here and at another commit? Both in turns, on the same machine.

Run as `python docs/evidence/against_commit.py 0f3c3b4 -- harness run baseline`: `harness …` and
`pytest …` are run with this interpreter, the other commit from a git worktree of
its own. Results go to a folder that is removed. Prints wall seconds and their ratio.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def seconds(root: Path, command: list[str], results: Path) -> float:
    """Run a command on the code of a folder; return wall seconds."""
    output = "--train-output" if command[0] == "pytest" else "--output"
    begin = time.monotonic()
    subprocess.run(
        [sys.executable, "-m", *command, output, str(results)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        stdout=subprocess.DEVNULL,
        check=False,
    )
    return time.monotonic() - begin


def main() -> None:
    """Run the command by turns and print a line per turn, then the ratio of medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("commit")
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("command", nargs="+", help="after --")
    arguments = parser.parse_args()
    took: dict[str, list[float]] = {"here": [], arguments.commit: []}
    with tempfile.TemporaryDirectory() as folder:
        there = Path(folder) / "there"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--detach", there, arguments.commit], check=True)
        try:
            roots = {"here": ROOT, arguments.commit: there}
            for turn in range(arguments.turns):
                for name in list(roots)[:: 1 if turn % 2 == 0 else -1]:
                    results = Path(folder) / f"{name}-{turn}"
                    took[name].append(seconds(roots[name], arguments.command, results))
                    print(f"{name}: {took[name][-1]:.0f} s", flush=True)
        finally:
            subprocess.run([*git, "remove", "--force", there], check=True)
    here, other = (statistics.median(its) for its in took.values())
    print(f"here over {arguments.commit}: {here / other:.2f} (medians of {arguments.turns} turns)")


if __name__ == "__main__":
    main()
