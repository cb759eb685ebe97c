"""The pytest plugin over fake workers: what a user types and what comes of it."""

import csv
import json
from pathlib import Path

import pytest
from fakes import FakeGpu
from samples import QUICK, run_folders

from harness.commands.options import options_of
from harness.commands.plugin import collection, hooks
from harness.errors import BadRun
from harness.records import Case
from harness.report import files

SUITE = """
    def test_batch_size(train, variant, batch_size):
        train(variant, batch_size=batch_size, reference={"batch_size": 256})
"""
ONE = ("--train-variants", "baseline", "--train-batch-sizes", "256")


def case(batch_size, variant="baseline"):
    return Case(variant, "synthetic", batch_size, threads=1)


@pytest.fixture
def run(pytester, launcher, monkeypatch):
    """Run pytest on a small suite of a user."""
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("MNIST_NPZ", raising=False)
    pytester.makepyfile(test_mine=SUITE)

    def go(*arguments):
        return pytester.runpytest_inprocess(*QUICK, *arguments, no_reraise_ctrlc=True)

    return go


def test_a_suite_is_measured_shown_and_written(run, pytester):
    """Plan first, tables and paths last."""
    result = run("--train-variants", "baseline")
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(
        [
            "training benchmark: 3 tests, quick effort (1 block each), dataset synthetic*",
            "*Speedup by batch size*",
            "*1024*1.25×*",
            "Written to:",
            "  results/runs/*/tables",
        ]
    )
    (folder,) = run_folders(pytester)
    written = {path.relative_to(folder).as_posix() for path in folder.rglob("*.*")}
    assert {
        "journal.jsonl",
        "run.json",
        "environment.txt",
        "tables/measurements.csv",
        "tables/batch_size_speedup.md",
        "charts/batch_size_speedup.svg",
    } <= written


# Below, what is drawn does not matter.


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--train-variants", "basline"], "did you mean baseline"),
        (["--train-variants", "mine.py:build"], "there is no file mine.py"),
        (["--train-batch-sizes", "0"], "'0' is not a whole number from 1"),
        (["--train-batch-sizes", "-256"], "'-256' is not a whole number from 1"),
        (["--train-batch-sizes", "256,60001"], "batch size 60001 is larger than the dataset"),
        (["--train-threads", "9999"], "9999 is more than the"),
        (["--train-devices", "gpu"], "a GPU was named and there is none"),
        (["--train-devices", "cpu,gpu"], "a GPU was named and there is none"),
        (["--train-dataset", "nothing.npz"], "there is no dataset file nothing.npz"),
        (["--train-effort", "fast"], "known: quick, default, thorough"),
        (["--train-backend", "mxnet"], "no backend 'mxnet'"),
        (["--train-resume", "20200101"], "no run begins with '20200101'"),
    ],
)
def test_what_cannot_be_used_is_one_line_before_anything_is_measured(
    no_charts, run, launcher, arguments, message, monkeypatch
):
    """pytest's exit code of a usage error, 4; no traceback."""
    monkeypatch.setattr(hooks, "open_gpu", lambda: FakeGpu(name=None))
    result = run(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    text = result.stdout.str() + result.stderr.str()
    assert sum(message in line for line in text.splitlines()) == 1
    assert "Traceback" not in text
    assert launcher.rounds == 0


def test_a_backend_of_the_user_is_that_of_every_case(run, no_charts, launcher, pytester):
    """With its own default for compiling."""
    run(*ONE, "--train-backend", "jax").assert_outcomes(passed=1)
    (folder,) = run_folders(pytester)
    assert "baseline-synthetic-b256-jax-cpu-t1-jit" in (folder / "journal.jsonl").read_text()


def test_an_output_folder_that_cannot_be_written_is_named(no_charts, run, pytester, launcher):
    """Before a worker is started."""
    pytester.makefile(".txt", taken="")
    result = run(*ONE, "--train-output", "taken.txt")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*cannot write to *taken.txt*choose another output folder*"])
    assert launcher.rounds == 0


def test_the_reference_of_batch_sizes_is_one_of_them(pytester, no_charts, launcher, monkeypatch):
    """256 where it is among them, else the smallest; so that it has a noise floor, too."""
    suite = (Path(__file__).parents[3] / "suites" / "test_batch_size.py").read_text()
    pytester.makepyfile(test_mine=suite)
    monkeypatch.delenv("MNIST_NPZ", raising=False)
    options = (*QUICK, "--train-variants", "baseline", "--train-batch-sizes")
    for sizes, reference in (("64,512", "64"), ("64,256", "256")):
        pytester.runpytest_inprocess(*options, sizes).assert_outcomes(passed=2)
        table = run_folders(pytester)[-1] / "tables" / "batch_size_speedup.csv"
        with table.open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert {row["reference"] for row in rows} == {reference}
        assert [row["noise_floor"] for row in rows].count("True") == 1


@pytest.mark.parametrize(
    ("selection", "count"),
    [
        (["-k", "batch1024"], 2),
        (["test_mine.py::test_batch_size[baseline-batch4096]"], 1),
        (["-k", "improved"], 3),
    ],
)
def test_what_is_selected_is_planned_and_measured(no_charts, run, selection, count):
    """As in any other suite."""
    result = run(*selection)
    assert result.parseoutcomes()["passed"] == count
    result.stdout.fnmatch_lines([f"training benchmark: {count} test*"])


@pytest.mark.parametrize(
    ("most", "counts"), [(1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6]), (64, [1, 2, 4, 8, 16, 32, 64])]
)
def test_thread_counts_double_up_to_all(most, counts):
    """A machine of 64 does not need 64 tests."""
    assert counts == collection.doubled(most)


def test_collecting_measures_nothing(no_charts, run, pytester, launcher):
    """Nor does it write."""
    result = run("--collect-only", "-q")
    result.stdout.fnmatch_lines(["*test_batch_size[[]improved-batch4096[]]"])
    assert launcher.rounds == 0
    assert not run_folders(pytester)


def test_a_case_that_fails_is_a_row_and_the_others_are_measured(no_charts, run, pytester, launcher):
    """Exit code 1; --lf then runs it alone, and -x would have stopped there."""
    launcher.failures[case(1024).id] = ("oom", "memory ran out at 22.9 GiB", "")
    everything = ("--train-variants", "baseline")
    result = run(*everything)
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*memory ran out at 22.9 GiB*"])
    assert "Traceback" not in result.stdout.str()
    table = (run_folders(pytester)[0] / "tables" / "measurements.csv").read_text()
    assert "oom: memory ran out at 22.9 GiB" in table
    run(*everything, "-x").assert_outcomes(passed=1, failed=1)
    launcher.failures.clear()
    run(*everything, "--lf").assert_outcomes(passed=1)


def test_what_pytest_benchmark_saves_are_the_workers_seconds(no_charts, run, pytester):
    """Bit for bit, and the whole measurement beside them."""
    run(*ONE, "--benchmark-json", "saved.json", "--benchmark-save-data")
    (saved,) = json.loads((pytester.path / "saved.json").read_text())["benchmarks"]
    measurement = saved["extra_info"]
    seconds = [r["seconds"] / r["steps"] for r in measurement["rounds"] if r["role"] == "case"]
    assert saved["stats"]["data"] == seconds
    assert measurement["case"]["batch_size"] == 256


def test_saved_results_can_be_compared_and_a_slowdown_fails(no_charts, run, launcher):
    """`--benchmark-compare-fail` sees the worker's seconds."""
    storage = ("--benchmark-storage", "file://./kept")
    run(*ONE, *storage, "--benchmark-autosave").assert_outcomes(passed=1)
    compare = (*ONE, *storage, "--benchmark-compare", "--benchmark-compare-fail=median:10%")
    assert run(*compare).ret == pytest.ExitCode.OK
    launcher.sample_seconds = lambda a_case: 1.2e-3
    result = run(*compare)
    assert result.ret != pytest.ExitCode.OK
    result.stderr.fnmatch_lines(["*Performance has regressed*"])


def test_benchmark_skip_measures_nothing(no_charts, run, launcher):
    """Every training test requests the `benchmark` fixture."""
    run(*ONE, "--benchmark-skip").assert_outcomes(skipped=1)
    assert launcher.rounds == 0


def test_benchmark_only_leaves_out_the_rest(no_charts, run, pytester):
    """And measures the training."""
    pytester.makepyfile(test_other="def test_other(): pass")
    run(*ONE, "--benchmark-only").assert_outcomes(passed=1, skipped=1)


def test_benchmark_disable_runs_one_round_a_side(no_charts, run, launcher):
    """To see that it works."""
    run(*ONE, "--benchmark-disable").assert_outcomes(passed=1)
    assert launcher.rounds == 2


def test_side_by_side_measuring_is_refused(no_charts, run, launcher):
    """pytest-xdist's -n would make every number wrong."""
    result = run(*ONE, "-n", "2")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*cannot be measured side by side; leave out -n*"])
    assert launcher.rounds == 0


def test_an_interrupted_run_keeps_what_it_measured_and_is_gone_on_with(
    no_charts, run, pytester, launcher
):
    """Tables of the first case are written; resuming measures only the rest."""
    launcher.interrupt_at_round = 40
    everything = ("--train-variants", "baseline", "--train-batch-sizes", "256,1024")
    everything += ("--train-effort", "default")
    result = run(*everything, "--benchmark-json", "saved.json")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*the same command with --train-resume measures the rest.*"])
    (folder,) = run_folders(pytester)
    assert "baseline-synthetic-b256" in (folder / "tables" / "measurements.csv").read_text()

    launcher.interrupt_at_round, launcher.rounds, launcher.asked = None, 0, []
    run(*everything, "--train-resume").assert_outcomes(passed=2)
    assert launcher.asked.count("open") == 6, "the blocks after the first, up to the first look"
    assert [folder] == run_folders(pytester)


def test_one_command_begins_a_run_and_goes_on_with_it(no_charts, run, pytester, launcher):
    """As a script that a scheduler starts again; a run that has ended is not gone on with."""
    command = ("--train-variants", "baseline", "--train-batch-sizes", "256,1024")
    command += ("--train-effort", "default", "--train-resume", "auto")
    launcher.interrupt_at_round = 40
    result = run(*command)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert result.outlines[-1] == "Interrupted: the same command measures the rest."
    (folder,) = run_folders(pytester)
    launcher.interrupt_at_round, launcher.rounds = None, 0
    result = run(*command)
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines([f"*goes on with {folder}"])
    assert [folder] == run_folders(pytester)
    run(*command).assert_outcomes(passed=2)
    assert len(run_folders(pytester)) == 2


def test_a_run_of_another_machine_is_left_alone(no_charts, run, pytester, launcher, monkeypatch):
    """Where a scheduler starts a job again on another node."""
    command = (*ONE, "--train-resume", "auto")
    launcher.interrupt_at_round = 3
    assert run(*command).ret == pytest.ExitCode.INTERRUPTED
    launcher.interrupt_at_round = None
    monkeypatch.setattr("harness.measure.machine.facts.cpu_name", lambda: "another CPU")
    result = run(*command)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*cannot go on with a run, and begins one: *another machine*"])
    assert len(run_folders(pytester)) == 2


def test_a_run_is_not_gone_on_with_at_another_effort(no_charts, run, launcher):
    """Said before anything is measured."""
    run(*ONE)
    rounds = launcher.rounds
    result = run(*ONE, "--train-resume", "--train-effort", "thorough")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["*another protocol; resume it with effort quick and no fixed steps per round*"]
    )
    assert launcher.rounds == rounds


def test_the_ini_file_sets_the_same_options(no_charts, pytester, launcher, monkeypatch):
    """With underscores for dashes; the command line wins."""
    monkeypatch.delenv("MNIST_NPZ", raising=False)
    pytester.makepyfile(test_mine=SUITE)
    pytester.makeini(
        """
        [pytest]
        train_variants = improved
        train_batch_sizes = 256,512
        train_dataset = synthetic
        train_effort = quick
        """
    )
    pytester.runpytest_inprocess().assert_outcomes(passed=2)
    pytester.runpytest_inprocess("--train-batch-sizes", "64").assert_outcomes(passed=1)


def test_a_report_that_cannot_be_written_fails_the_run(run, monkeypatch):
    """In one line; what was measured is kept."""

    def full(*_):
        raise BadRun("cannot write to results: no space left on device")

    monkeypatch.setattr(files, "write", full)
    result = run(*ONE)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["cannot write to results: no space left on device"])


def test_a_test_trains_once(no_charts, pytester, launcher):
    """Said before the second training, not after it."""
    pytester.makepyfile("def test_it(train):\n    train('baseline')\n    train('improved')")
    result = pytester.runpytest_inprocess(*QUICK)
    result.stdout.fnmatch_lines(["*a test trains once; parametrize it*"])
    assert launcher.asked.count("open") == 2


def test_the_last_output_of_a_failed_worker_is_shown(no_charts, run, launcher):
    """It often says more than the reason."""
    launcher.failures[case(256).id] = ("error", "it broke", "Traceback of the user's own code")
    run(*ONE).stdout.fnmatch_lines(["error: it broke", "*", "Traceback of the user's own code"])


def test_a_failure_is_printed_once(no_charts, run, launcher):
    """By pytest, in its section of failures; the summary counts."""
    launcher.failures[case(256).id] = ("error", "it broke", "Traceback of the user's own code")
    shown, _, short_summary = run(*ONE).stdout.str().partition("short test summary info")
    assert "it broke" in short_summary
    assert shown.count("it broke") == 1
    assert shown.count("Traceback of the user's own code") == 1
    assert "1 failed." in shown


def test_a_comparison_along_another_axis_is_a_line_of_the_summary(
    no_charts, pytester, launcher, monkeypatch
):
    """It has no table."""
    monkeypatch.setenv("COLUMNS", "160")
    pytester.makepyfile(
        "def test_it(train):\n    train('baseline', optimizer='sgd', reference={'optimizer': None})"
    )
    result = pytester.runpytest_inprocess(*QUICK)
    result.stdout.fnmatch_lines(["*-sgd against baseline-*: 1.00×, not judged"])


@pytest.mark.parametrize(
    ("says", "message"),
    [
        ('backends=["pytorch"]', "no pytorch among backends; known: tensorflow, jax, torch"),
        ('devices=["GPU"]', "no GPU among devices; known: cpu, gpu"),
        ('variants="improved"', "variants must be a list, not 'improved'"),
    ],
)
def test_a_marker_that_cannot_be_meant_is_refused(pytester, launcher, says, message):
    """Rather than skipped, or read letter by letter."""
    pytester.makepyfile(
        f"import pytest\n\n@pytest.mark.matrix({says})\ndef test_it(train, variant): pass"
    )
    pytester.runpytest_inprocess(*QUICK).stdout.fnmatch_lines([f"*{message}*"])


def test_a_misspelt_axis_is_refused(pytester, launcher):
    """Rather than ignored."""
    pytester.makepyfile(
        "import pytest\n\n@pytest.mark.matrix(batch_size=[64])\ndef test_it(train): pass"
    )
    result = pytester.runpytest_inprocess(*QUICK)
    result.stdout.fnmatch_lines(["*matrix has no batch_size; known: variants, batch_sizes*"])


def test_the_option_wins_over_what_a_test_says(no_charts, pytester, launcher):
    """For threads as for the others."""
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.matrix(threads=[1, 1])
        def test_it(train, threads):
            train("baseline", threads=threads)
        """
    )
    pytester.runpytest_inprocess(*QUICK).assert_outcomes(passed=1)


def test_a_project_without_training_tests_sees_nothing_of_the_plugin(no_charts, pytester, launcher):
    """It is loaded everywhere."""
    pytester.makepyfile("def test_plain(): pass")
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(passed=1)
    assert "training benchmark" not in result.stdout.str()
    pytester.runpytest_inprocess("-p", "no:benchmark").assert_outcomes(passed=1)


def test_a_field_that_no_case_has_is_named(no_charts, pytester, launcher):
    """A mistake in a user's own suite."""
    pytester.makepyfile("def test_it(train): train('baseline', batchsize=3)")
    result = pytester.runpytest_inprocess(*QUICK)
    result.stdout.fnmatch_lines(["*a case has no batchsize*"])


def test_every_option_is_in_the_help_with_its_default(no_charts, pytester):
    """And no option is undocumented."""
    text = pytester.runpytest_inprocess("--help").stdout.str()
    for option in options_of("suites"):
        assert f"--train-{option.name}" in text


def test_a_value_that_is_no_path_is_not_taken_for_one(pytester):
    """However long it is."""
    ladder = "baseline@256" + ",@512,@256" * 100
    found = pytester.runpytest("--collect-only", "--train-ladder", ladder)
    assert found.ret == pytest.ExitCode.NO_TESTS_COLLECTED


@pytest.mark.parametrize("between", [" ", "="], ids=["two words", "one word"])
def test_an_output_folder_elsewhere_hides_no_ini_file(pytester, tmp_path_factory, between):
    """Pytest takes the second word for a folder of tests, and looks for the file above both."""
    pytester.makeini("[pytest]\npythonpath = src\naddopts = --collect-only")
    pytester.mkdir("src").joinpath("only_here.py").touch()
    pytester.makepyfile("import only_here\ndef test_it(): assert False")
    output = f"--train-output{between}{tmp_path_factory.mktemp('elsewhere')}"
    found = pytester.runpytest("-p", "no:cacheprovider", *output.split())
    assert found.ret == pytest.ExitCode.OK
    found.stdout.fnmatch_lines(["*configfile: tox.ini", "*1 test collected*"])
    assert found.stdout.str().count("rootdir") == 1


@pytest.mark.parametrize(
    ("lines", "passed", "message"),
    [
        ('[tool.pytest.ini_options]\ntrain_batch_sizes = "8,16"', 2, ""),
        ('[tool.pytest.ini_options]\ntrain_batch_sizes = ["8", "16"]', 2, ""),
        ("[tool.pytest.ini_options]\ntrain_batch_sizes = 8", 1, ""),
        ('[tool.pytest]\ntrain_batch_sizes = "8,16"', 2, ""),
        (
            '[tool.pytest.ini_options]\ntrain_effort = "fast"',
            0,
            "*no 'fast'; known: quick, default, thorough*",
        ),
    ],
)
def test_a_toml_file_sets_them_in_its_own_types(
    no_charts, pytester, launcher, lines, passed, message
):
    """Text, lists and numbers; what is wrong is named by its key."""
    pytester.makepyfile(test_mine=SUITE)
    more = 'train_variants = "improved"\ntrain_dataset = "synthetic"\n'
    pytester.makepyprojecttoml(f"{lines}\n{more}")
    done = pytester.runpytest_inprocess("--train-effort=quick" if passed else "-q")
    if passed:
        done.assert_outcomes(passed=passed)
    else:
        done.stderr.fnmatch_lines([message])
        assert "INTERNALERROR" not in done.stdout.str()
