"""The plugin's ladders and trainings in full, over fake workers."""

import json

import pytest

LADDER = """
    import pytest

    @pytest.mark.ladder("mine", "baseline@256,+adam,@1024")
    def test_ladder(climb, rung, device):
        climb(rung, device=device)
"""
CONVERGENCE = """
    import pytest

    @pytest.mark.convergence
    @pytest.mark.matrix(variants=["baseline", "improved"])
    def test_convergence(converge, seed):
        trainings = converge(seed=seed)
        assert [t.recipe.case.seed for t in trainings] == [seed, seed]

    def test_nothing():
        pass
"""
QUICK = (
    "--train-effort",
    "quick",
    "--train-dataset",
    "synthetic",
    "--train-threads",
    "1",
    "--train-devices",
    "cpu",
)


@pytest.fixture
def go(pytester, launcher, no_charts, monkeypatch):
    """Run pytest on a suite of a user, and give back its result."""
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("MNIST_NPZ", raising=False)
    pytester.makepyfile(test_my_ladder=LADDER, test_my_convergence=CONVERGENCE)
    return lambda *arguments: pytester.runpytest_inprocess(*QUICK, *arguments)


def run_of(pytester):
    (folder,) = (pytester.path / "results" / "runs").glob("*")
    return json.loads((folder / "run.json").read_text())


def test_every_rung_is_a_test_and_so_is_the_direct_comparison(go, pytester):
    """With node ids that can be typed; the table is shown."""
    result = go("test_my_ladder.py", "-v")
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["*test_ladder[[]mine-rung1-cpu[]]*", "*mine-direct-cpu*"])
    result.stdout.fnmatch_lines(
        ["Where the speedup comes from*", "*Adadelta → Adam*", "*all 2 at once*"]
    )
    (ladder,) = run_of(pytester)["ladders"]
    assert [rung["change"] for rung in ladder["rungs"]] == ["Adadelta → Adam", "batch 256 → 1024"]


def test_a_ladder_of_the_users_own_takes_the_place_of_the_suites(go, pytester):
    """Any variants and batch sizes."""
    go("test_my_ladder.py", "--train-ladder", "improved@256,@512,baseline@512").assert_outcomes(
        passed=3
    )
    (ladder,) = run_of(pytester)["ladders"]
    assert ladder["name"] == "as asked for"
    assert ladder["rungs"][-1]["change"] == "improved → baseline"


def test_a_ladder_that_is_none_is_one_line(go):
    """Exit code 4."""
    result = go("test_my_ladder.py", "--train-ladder", "improved@256,+nothing")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "no change 'nothing'" in result.stderr.str() + result.stdout.str()


def test_other_variants_leave_the_suites_ladder_out(go):
    """It is of its own."""
    result = go("test_my_ladder.py", "--train-variants", "baseline", "-rs")
    result.assert_outcomes(skipped=3)
    result.stdout.fnmatch_lines(["*--train-ladder*"])


def test_trainings_in_full_are_left_out_unless_asked_for(go, launcher):
    """They take long."""
    go("-k", "test_convergence or nothing").assert_outcomes(passed=1, deselected=4)
    assert launcher.turns == []


@pytest.mark.parametrize("asked", [["-m", "convergence"], ["test_my_convergence.py"]])
def test_trainings_in_full_are_asked_for_by_marker_or_file(go, launcher, asked):
    """The recipes of the report: 15 epochs, and 10."""
    result = go(*asked)
    assert result.ret == 0
    assert launcher.turns.count(("baseline", 15)) == 1
    assert launcher.turns[-1] == ("baseline", 15)
    assert ("improved", 10) in launcher.turns
    result.stdout.fnmatch_lines(["*full training: 1 test*", "*epoch 10/10*", "*Effective*"])


def test_epochs_seeds_target_and_batch_sizes_can_be_chosen(go, launcher, pytester):
    """In place of the recipes' own."""
    chosen = [
        "--train-epochs",
        "2",
        "--train-seeds",
        "2",
        "--train-target",
        "0.9",
        "--train-batch-sizes",
        "64",
    ]
    go("-m", "convergence", *chosen).assert_outcomes(passed=2, deselected=4)
    run = run_of(pytester)
    assert run["target_accuracy"] == 0.9
    found = [
        (t["recipe"]["case"]["seed"], t["recipe"]["case"]["batch_size"], t["recipe"]["epochs"])
        for t in run["trainings"]
    ]
    assert sorted(found) == [(0, 64, 2), (0, 64, 2), (1, 64, 2), (1, 64, 2)]


def test_with_benchmarks_disabled_one_epoch_shows_that_it_works(go, launcher):
    """As one short round does elsewhere."""
    go("-m", "convergence", "--benchmark-disable").assert_outcomes(passed=1, deselected=4)
    assert launcher.turns == [("baseline", 1), ("improved", 1)]


def test_a_smoke_run_stays_one_whatever_comes_first(go, launcher, pytester):
    """Its record says that it is none to go on with."""
    go("--benchmark-disable", "test_my_convergence.py", "test_my_ladder.py").assert_outcomes(
        passed=5
    )
    assert run_of(pytester)["protocol"]["blocks"] == 1


def test_a_marker_without_steps_is_an_error_of_the_suite(go, pytester):
    """As pytest has them: nothing is run."""
    pytester.makepyfile(test_my_ladder=LADDER.replace(', "baseline@256,+adam,@1024"', ""))
    result = go("test_my_ladder.py")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert "ladder(name, steps)" in result.stderr.str() + result.stdout.str()


def test_a_time_limit_drops_seeds_and_says_so(go, launcher, monkeypatch):
    """Never the first one."""
    from harness.measure.budget import Budget

    monkeypatch.setattr(Budget, "allows", lambda self, seconds: not seconds)
    result = go("-m", "convergence", "--train-seeds", "3", "-rs")
    result.assert_outcomes(passed=1, skipped=2, deselected=4)
    result.stdout.fnmatch_lines(["*no room for another seed*"])


def test_versions_are_trained_in_full_and_their_accuracy_is_compared(go, launcher, pytester):
    """Each variant against itself in the other version."""
    version = ("--train-reference-env", "A=1", "--train-epochs", "2", "--train-seeds", "3")
    result = go("-m", "convergence", *version)
    # The test of the suite expects one training per variant.
    assert result.ret == 1
    found = [t["recipe"] for t in run_of(pytester)["trainings"]]
    versions = {(r["case"]["variant"], r["case"]["version"]) for r in found}
    assert versions == {(v, a) for v in ("baseline", "improved") for a in ("", "A=1")}
    assert {r["reference"]["version"] for r in found} == {"A=1"}
    text = (next(pytester.path.glob("results/runs/*")) / "tables" / "accuracy.md").read_text()
    assert "A=1" in text


def test_a_training_that_fails_fails_its_test(go, launcher):
    """With the worker's words; the other one is kept."""
    launcher.failures = {
        "improved-synthetic-b1024-tensorflow-cpu-t1": ("oom", "memory ran out", "the log")
    }
    result = go("-m", "convergence")
    result.assert_outcomes(failed=1, deselected=4)
    result.stdout.fnmatch_lines(["*oom: memory ran out*", "*the log*"])
    assert launcher.turns[-1] == ("baseline", 15)


@pytest.mark.parametrize(
    ("option", "value"), [("target", "1.5"), ("target", "none"), ("epochs", "0"), ("seeds", "x")]
)
def test_what_cannot_be_trained_is_one_line(go, option, value):
    """Before anything is trained."""
    result = go("-m", "convergence", f"--train-{option}", value)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert f"--train-{option}: '{value}'" in result.stderr.str() + result.stdout.str()
