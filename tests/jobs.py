"""Run what the docs say under a scheduler, and read what it has written."""

import csv
import os
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def environment(**more):
    """Variables that let a job find this Python and this package."""
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        **more,
    }


def run(command, variables):
    """Run a line of a shell; its exit code, and all that it printed."""
    done = subprocess.run(
        shlex.split(command),
        cwd=ROOT,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=900,
    )
    return done.returncode, done.stdout


def table(folder, name):
    """The rows of a table of the one run in a folder of results."""
    (path,) = folder.glob(f"runs/*/tables/{name}.csv")
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))
