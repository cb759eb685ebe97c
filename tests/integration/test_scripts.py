"""Training scripts as strangers write them, unchanged: the command gives their table."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT, SCRIPTS = Path(__file__).parents[2], Path(__file__).with_name("scripts")


@pytest.mark.parametrize(
    ("name", "batch", "pipeline", "samples", "cautions"),
    [
        ("flowers", 16, "tf.data", 96, ["set_seed(42) (done)"]),
        ("reviews", 32, "tf.data", 400, ["seed(0) (done)"]),
        (
            "churn",
            64,
            "",
            2250,
            [
                "set_intra_op_parallelism_threads(1) (not done, the case decides it)",
                "OMP_NUM_THREADS=1 (too late, set it in the shell)",
            ],
        ),
    ],
)
def test_a_stranger_s_script_is_measured_as_it_is(
    tmp_path, name, batch, pipeline, samples, cautions
):
    """The script is executed up to its `fit`, whose data are trained; no model is saved."""
    script = SCRIPTS / f"{name}.py"
    options = ("--effort", "quick", "--batch-sizes", str(batch), "--devices", "cpu")
    done = subprocess.run(
        [sys.executable, "-m", "harness", "run", f"{script}:model", *options],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Traceback" not in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"results"}
    (run,) = (tmp_path / "results" / "runs").glob("2*")
    (outcome,) = json.loads((run / "run.json").read_text())["outcomes"]
    facts = outcome["facts"]
    assert outcome["case"]["dataset"] == f"{script}:fit"
    assert facts["train_samples"] == samples
    assert facts["pipeline"] == pipeline
    assert set(cautions) <= set(facts["own_settings"])
