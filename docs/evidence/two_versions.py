"""Does a gate of two versions see a planted slowdown, and let unchanged commits pass?

A scratch repository has a network of 20 equal layers, and commits with 20, 21 and 22 of them: the
same model, one 5 % and one 10 % slower, since a layer costs a twentieth of a step. Each is
measured against the first commit by `harness run … --reference-rev … --fail-if-slower 5%`, in
turns; that of 10 % with `--until-decided`. With `--python PATH` an environment is compared with
itself instead, and must hold 1. Run as `python docs/evidence/two_versions.py --tries 15`.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

LAYERS = 20
FILE = """
import keras
from keras import layers

LAYERS = {layers}


def build():
    hidden = [layers.Dense(512, "relu") for _ in range(LAYERS)]
    model = keras.Sequential([keras.Input((512,)), *hidden, layers.Dense(1)])
    model.compile("sgd", "mse")
    return model
"""


def git(folder: Path, *arguments: str) -> None:
    """Run a command of git."""
    identity = ("-c", "user.name=A", "-c", "user.email=a@b")
    command = ["git", *identity, *arguments]  # the user's own
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def commit(folder: Path, layers: int, name: str) -> None:
    """Commit the network with so many layers, and name the commit."""
    (folder / "net.py").write_text(FILE.format(layers=layers))
    git(folder, "add", ".")
    git(folder, "commit", "-q", "--allow-empty", "-m", name)
    git(folder, "tag", name)


def measured(folder: Path, arguments: list[str]) -> tuple[int, float, dict[str, object]]:
    """Run the command: exit code, seconds, and the row of its table."""
    begin = time.perf_counter()
    command = [sys.executable, "-m", "harness", "run", "net.py:build", "--batch-sizes", "256"]
    common = ["--devices", "cpu", "--output", str(folder.parent / "results"), "--json"]
    done = subprocess.run(
        [*command, *common, "--fail-if-slower", "5%", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - begin
    if done.returncode not in (0, 1):
        sys.exit(done.stderr)
    (row,) = json.loads(done.stdout)["tables"]["version_speedup"]
    return done.returncode, seconds, row


def main() -> None:
    """Measure, and print a line per kind of commit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tries", type=int, default=15)
    parser.add_argument("--python", help="compare this environment with itself")
    arguments = parser.parse_args()
    found = defaultdict(list)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "models"
        folder.mkdir()
        git(folder, "init", "-q", "-b", "main")
        planted = {"unchanged": LAYERS, "5 %": LAYERS + 1, "10 %": LAYERS + 2}
        commit(folder, LAYERS, "first")
        for number, layers in enumerate(planted.values()):
            commit(folder, layers, f"planted{number}")
        for _ in range(arguments.tries):
            if arguments.python:
                its = measured(folder, ["--reference-python", arguments.python])
                found["itself"].append(its)
                print("itself", *show(its), flush=True)
                continue
            for number, kind in enumerate(planted):
                git(folder, "checkout", "-q", f"planted{number}")
                decided = ["--until-decided"] if kind == "10 %" else []
                its = measured(folder, ["--reference-rev", "first", *decided])
                found[kind].append(its)
                print(kind, *show(its), flush=True)
    for kind, tries in found.items():
        rows = [row for _, _, row in tries]
        print(
            f"{kind}: {sum(row['high'] < 1 for row in rows)} of {len(rows)} intervals below 1, "
            f"{sum(row['low'] <= 1 <= row['high'] for row in rows)} hold 1, "
            f"{sum(code for code, _, _ in tries)} fail the gate of 5 %; speedup "
            f"{statistics.median(row['speedup'] for row in rows):.3f} (median); "
            f"{statistics.median(row['blocks'] for row in rows):.0f} blocks, "
            f"{statistics.median(s for _, s, _ in tries):.0f} s (median), longest "
            f"{max(s for _, s, _ in tries):.0f} s"
        )


def show(its: tuple[int, float, dict[str, object]]) -> list[str]:
    """Write a try."""
    code, seconds, row = its
    interval = f"{row['speedup']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"
    blocks = f"{row['blocks']} blocks"
    return [interval, str(row["verdict"]), f"exit {code}", blocks, f"{seconds:.0f} s"]


if __name__ == "__main__":
    main()
