"""What a user may set, and the one line for what he may not."""

import pytest
from fakes import FakeGpu

from harness.commands import options, values
from harness.errors import BadCase, HarnessError
from harness.measure.machine.facts import usable_cpus

NO_GPU = FakeGpu(name=None)
COMMANDS = ("suites", "run", "tune")


def test_defaults(tmp_path):
    """As the interface promises."""
    got = options.parse({}, tmp_path, NO_GPU)
    assert got.batch_sizes == (256, 1024, 4096)
    assert got.threads == len(usable_cpus())
    assert got.protocol.effort == "default"
    assert got.protocol.timeout_seconds == 300
    assert got.output == tmp_path / "results"
    assert got.max_seconds is None


def test_lists_and_numbers_are_read(tmp_path):
    """Blanks do not matter."""
    got = options.parse(
        {"variants": "improved, baseline", "batch-sizes": "32, 64", "steps": "3"}, tmp_path, NO_GPU
    )
    assert got.variants == ("improved", "baseline")
    assert got.batch_sizes == (32, 64)
    assert got.protocol.steps == 3


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("variants", "basline", "did you mean baseline"),
        ("batch-sizes", "0", "--train-batch-sizes: '0' is not a whole number from 1"),
        ("batch-sizes", "256,-1", "'-1' is not a whole number"),
        ("batch-sizes", "many", "'many' is not a whole number"),
        ("threads", "4096", "CPUs that this process may use"),
        ("threads", "0", "not a whole number"),
        ("devices", "tpu", "--train-devices: no 'tpu'; did you mean gpu?"),
        ("devices", "auto,cpu", "is none of"),
        ("backend", "mxnet", "no backend 'mxnet'"),
        ("devices", "gpu", "a GPU was named and there is none"),
        ("effort", "thorugh", "did you mean thorough"),
        ("steps", "1.5", "not a whole number"),
        ("timeout", "-3", "not a number above 0"),
        ("timeout", "nan", "not a number above 0"),
        ("max-minutes", "0", "not a number above 0"),
    ],
)
def test_what_cannot_be_used_is_explained(tmp_path, name, value, message):
    """One line that names the option."""
    with pytest.raises(HarnessError, match=message) as caught:
        options.parse({name: value}, tmp_path, NO_GPU, prefix="--train-")
    assert "\n" not in str(caught.value)


def test_each_command_has_the_options_that_concern_it():
    """Derived from the fields of the settings."""
    names = {command: {o.name for o in options.options_of(command)} for command in COMMANDS}
    assert {"batch-sizes", "memory-limit", "profile"} == names["run"] - names["tune"]
    assert {"levers"} == names["tune"] - names["run"]
    assert {"resume", "output", "effort", "devices"} <= set.intersection(*names.values())
    assert set.union(*names.values()) == {o.name for o in options.OPTIONS}


def test_the_help_of_an_option_ends_with_its_default():
    """The value that the parser gets."""
    (timeout,) = (o for o in options.OPTIONS if o.name == "timeout")
    assert timeout.help.endswith("in seconds (default: 300)")
    assert options.Settings().timeout == 300


@pytest.mark.parametrize(
    ("text", "gpu", "devices", "demanded"),
    [
        ("auto", NO_GPU, ("cpu",), False),
        ("auto", FakeGpu(), ("cpu", "gpu"), False),
        ("gpu,cpu", FakeGpu(), ("gpu", "cpu"), True),
        ("gpu", FakeGpu(), ("gpu",), True),
    ],
)
def test_auto_is_the_cpu_and_the_gpu_where_there_is_one(tmp_path, text, gpu, devices, demanded):
    """Only a GPU that was named is a mistake where it cannot be used."""
    got = options.parse({"devices": text}, tmp_path, gpu)
    assert (devices, demanded) == (got.devices, got.gpu_demanded)


def test_a_backend_that_is_not_installed_is_said_with_its_install_line(tmp_path, monkeypatch):
    """Before anything is measured."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(HarnessError, match="torch is not installed: pip install torch"):
        options.parse({"backend": "torch"}, tmp_path, NO_GPU)


@pytest.mark.parametrize(("text", "share"), [("5%", 0.05), ("5", 0.05), ("2.5 %", 0.025)])
def test_a_threshold_is_a_percentage(text, share):
    """With or without its sign."""
    assert values.percent(text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["0.05", "five", "-5%", "nan", "inf", "", "%"])
def test_what_is_no_percentage_is_refused(text):
    """And what may be a share."""
    with pytest.raises(BadCase, match=r"percentage|may be"):
        values.percent(text)
