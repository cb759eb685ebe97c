"""`harness run`: what is measured, with what, and how it ends."""

import json

import pytest

from harness.commands.parser import main
from harness.measure.workers import launcher as launchers
from harness.records import Failure, folders

MODEL = "import keras\ndef build():\n    return keras.Sequential()\n"


@pytest.fixture
def model(tmp_path, monkeypatch):
    """A file of a user's in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MNIST_NPZ", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "mine.py").write_text(MODEL)
    return tmp_path / "mine.py"


def measured(*arguments):
    """Run on one CPU thread; return the exit code and the run."""
    code = main(["run", "--effort", "quick", *arguments, "--threads", "1", "--output", "out"])
    (folder,) = folders.Path("out/runs").iterdir()
    return code, folders.read(folder)


def pairs(run):
    """What was compared with what, in short."""
    return [
        (o.case.variant, o.case.batch_size, o.reference.variant, o.reference.batch_size)
        for o in run.outcomes
    ]


def test_each_batch_size_and_each_model_is_compared(launcher, no_charts, model, capsys):
    """With the smallest size, and with the first model."""
    code, run = measured("mine.py:build", "baseline", "--batch-sizes", "32,64")
    assert code == 0
    assert pairs(run) == [
        ("mine.py:build", 32, "mine.py:build", 32),
        ("mine.py:build", 64, "mine.py:build", 32),
        ("baseline", 32, "mine.py:build", 32),
        ("baseline", 32, "baseline", 32),
        ("baseline", 64, "baseline", 32),
    ]
    shown = capsys.readouterr()
    assert "mine.py:build: builds and trains: 1 000 parameters" in shown.err.replace("\u202f", " ")
    assert "Speedup by batch size" in shown.out


def test_without_batch_sizes_they_are_searched_for(launcher, no_charts, model, capsys):
    """The fastest is the reference; the search is in the run."""
    code, run = measured("mine.py:build")
    assert code == 0
    (search,) = run.searches
    assert search.chosen[0] == 8
    assert [p.batch_size for p in search.probes] == [8, 16, 32]
    assert {o.case.batch_size for o in run.outcomes} == {8, 16, 32}
    assert {o.reference.batch_size for o in run.outcomes} == {8}
    assert "Batch sizes tried" in capsys.readouterr().out


def test_a_model_that_cannot_train_is_a_failure_of_a_searched_run_too(
    launcher, no_charts, model, capsys
):
    """The next one is searched and measured."""
    launcher.untrainable["mine.py:build"] = ("error", "it raised RuntimeError", "")
    code, run = measured("mine.py:build", "baseline")
    assert code == 1
    assert [(o.case.variant, o.kind) for o in run.outcomes if isinstance(o, Failure)] == [
        ("mine.py:build", "error")
    ]
    assert {o.case.variant for o in run.outcomes} == {"mine.py:build", "baseline"}
    assert "Failed: mine.py:build" in capsys.readouterr().out


def test_a_model_of_mnist_s_shape_gets_the_bundled_images(launcher, no_charts, model):
    """Another gets random data that fits it."""
    assert measured("mine.py:build", "--batch-sizes", "32")[1].outcomes[0].case.dataset == "digits"


def test_another_model_gets_random_data_and_a_line_says_so(launcher, no_charts, model, capsys):
    """Whatever it takes."""
    launcher.takes_images = False
    assert measured("mine.py:build", "--batch-sizes", "32")[1].outcomes[0].case.dataset == "fitted"
    expected = "mine.py:build: no data found; trained on random data that fits the model"
    assert expected in " ".join(capsys.readouterr().err.split())


def test_a_name_between_colons_is_no_emoji(launcher, no_charts, model, capsys):
    """Wherever it is printed; and a model that was not tried shows no dataset `auto`."""
    model.write_text(MODEL.replace("build", "seven"))
    launcher.untrainable["mine.py:seven"] = ("error", "it raised RuntimeError", "")
    _, run = measured("mine.py:seven", "--batch-sizes", "32")
    assert run.outcomes[0].case.dataset == "fitted"
    shown = capsys.readouterr()
    assert "mine.py:seven-fitted-b32-tensorflow-cpu-t1: failed (error)" in shown.err
    assert "mine.py:seven-fitted-b32-tensorflow-cpu-t1: error: it raised" in shown.out
    assert "\N{COMBINING ENCLOSING KEYCAP}" not in shown.err + shown.out


def test_the_function_data_beside_a_model_is_used(launcher, no_charts, model):
    """Without a word."""
    launcher.own_data["mine.py:build"] = "mine.py:data"
    _, run = measured("mine.py:build", "--batch-sizes", "32")
    assert run.outcomes[0].case.dataset == "mine.py:data"


def test_a_model_that_cannot_train_is_a_failure_and_the_next_is_measured(
    launcher, no_charts, model, capsys
):
    """Its cases are not begun."""
    launcher.untrainable["mine.py:build"] = ("diverged", "the loss of step 1 is nan", "")
    code, run = measured("mine.py:build", "baseline", "--batch-sizes", "32")
    assert code == 1
    kinds = [(o.case.variant, getattr(o, "kind", "measured")) for o in run.outcomes]
    assert kinds == [
        ("mine.py:build", "diverged"),
        ("baseline", "diverged"),
        ("baseline", "measured"),
    ]
    shown = " ".join(capsys.readouterr().out.split())
    assert "the reference mine.py:build cannot be trained: the loss of step 1 is nan" in shown


def test_a_failure_is_printed_once_with_the_users_traceback(launcher, no_charts, model, capsys):
    """Without tables, since nothing was measured."""
    traceback = 'Traceback (most recent call last):\n  File "mine.py", line 3, in build'
    launcher.untrainable["mine.py:build"] = ("error", "mine.py:build raised it", traceback)
    code, _ = measured("mine.py:build", "--batch-sizes", "32,64")
    shown = capsys.readouterr()
    assert code == 1
    text = " ".join((shown.out + shown.err).split())
    assert text.count("mine.py:build raised it") == 1
    assert text.count('File "mine.py", line 3, in build') == 1
    assert "and 1 more: error: mine.py:build raised it" in text
    assert "Measurements" not in text


def test_the_traceback_option_reaches_the_workers(launcher, no_charts, model, monkeypatch):
    """Short unless the user says otherwise."""
    given = []
    monkeypatch.setattr(
        launchers, "Launcher", lambda **options: given.append(options["traceback"]) or launcher
    )
    measured("mine.py:build", "--batch-sizes", "32")
    main(["run", "mine.py:build", "--batch-sizes", "32", "--traceback", "full", "--threads", "1"])
    assert given == ["short", "full"]


def test_loss_optimizer_and_shape_reach_the_worker(launcher, no_charts, model):
    """They are a part of the case."""
    options = ["--loss", "mse", "--optimizer", "sgd", "--input-shape", "8,8,3"]
    _, run = measured("mine.py:build", "--batch-sizes", "32", *options)
    case = run.outcomes[0].case
    assert (case.loss, case.optimizer, case.input_shape) == ("mse", "sgd", (8, 8, 3))
    assert "mse-8x8x3" in case.id


def test_an_interrupted_run_is_gone_on_with(launcher, no_charts, model, capsys):
    """What was measured is kept; exit code 130."""
    wanted = ("mine.py:build", "--batch-sizes", "32,64,128", "--effort", "default")
    launcher.interrupt_at_round = 60
    code, run = measured(*wanted)
    assert code == 130
    known = [len({r.block for r in o.rounds}) for o in run.outcomes]
    first_look, *_ = run.protocol.looks
    assert len(known) == 3
    assert 0 < known[0] < first_look
    assert "--resume" in capsys.readouterr().err
    code, run = measured(*wanted, "--resume")
    assert code == 0
    assert [len({r.block for r in o.rounds}) for o in run.outcomes] == [first_look] * 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent.py:build"], "there is no file absent.py"),
        (["mine.py:build", "--batch-sizes", "x"], "'x' is not a whole number"),
        (["mine.py:build", "--batch-sizes", "70000"], "larger than the dataset"),
        (["mine.py:build", "--memory-limit", "0"], "--memory-limit: '0' is not a number above 0"),
        (["mine.py:build", "--input-shape", "8,a"], "--input-shape: 'a'"),
        (["mine.py:build", "--dataset", "gone.py:data"], "there is no file gone.py"),
        (["baselin"], "did you mean baseline"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(launcher, model, capsys, arguments, message):
    """Before anything is measured."""
    assert main(["run", *arguments, "--threads", "1"]) == 2
    shown = capsys.readouterr().err
    assert message in shown.splitlines()[-1]


def test_list_and_doctor_print_json(capsys):
    """And nothing else."""
    assert main(["list", "--json"]) == 0
    assert "baseline" in json.loads(capsys.readouterr().out)["variants"]
    main(["doctor", "--json"])
    assert {"subject", "state", "text", "advice"} == set(json.loads(capsys.readouterr().out)[0])
