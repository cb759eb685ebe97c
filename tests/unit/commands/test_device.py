"""A GPU against a CPU over fakes: protocol, tables, charts."""

import csv
import dataclasses

import pytest
from fakes import (
    MACHINE,
    FakeGpu,
    FakeLauncher,
    busy_gpu,
    gpu_usage,
    runner_of,
    with_gpu_usage,
)
from samples import dataframe, dataframes, drawn, text_table

from harness.analyze import stats
from harness.records import Case, Failure, Gpu, folders, from_json, to_json
from harness.report import files
from harness.tables import drawing

CPU = Case("baseline", "mnist", 256, threads=2)
GPU = dataclasses.replace(CPU, device="gpu")
GPU_MACHINE = dataclasses.replace(MACHINE, gpu="Fake GPU", gpu_reason=None)


def seconds(case):
    """A GPU step costs 4 ms and 10 µs a sample, a CPU step 0.2 ms a sample."""
    if case.device == "cpu":
        return 2e-4
    return 4e-3 / case.batch_size + 1e-5


def runner(folder, launcher=None, **changes):
    launcher = launcher or FakeLauncher(seconds)
    changes = {"gpu_round_seconds": 0.2, "min_pairs": 3, "max_pairs": 3, "blocks": 2, **changes}
    return runner_of(folder, launcher, machine=GPU_MACHINE, gpu=FakeGpu(), **changes)


@pytest.fixture
def run(tmp_path):
    """A run of three sizes of two variants, with readings as a busy GPU gives them."""
    measuring = runner(tmp_path, blocks=6)
    usage = gpu_usage(busy_gpu)
    outcomes = []
    for variant in ("baseline", "improved"):
        for size in (4, 64, 1024):
            gpu = dataclasses.replace(GPU, variant=variant, batch_size=size)
            cpu = dataclasses.replace(gpu, device="cpu")
            outcomes.append(with_gpu_usage(measuring.measure(gpu, cpu), usage))
    return dataclasses.replace(measuring.run(), outcomes=tuple(outcomes))


def test_where_a_gpu_is_used_one_worker_follows_the_other(tmp_path):
    """All rounds of one side, then all of the other; the order alternates over blocks."""
    launcher = FakeLauncher(seconds)
    outcome = runner(tmp_path, launcher).measure(GPU, CPU)
    roles = [r.role[0] for r in outcome.rounds]
    assert "".join(roles) == "rrr" + "ccc" + "ccc" + "rrr"
    assert not outcome.interleaved
    assert launcher.most_running == 1


def test_on_the_cpu_rounds_take_turns(tmp_path):
    """Both workers are there at once."""
    launcher = FakeLauncher(seconds)
    outcome = runner(tmp_path, launcher).measure(CPU, CPU)
    assert outcome.interleaved
    assert launcher.most_running == 2


def test_rounds_on_a_gpu_last_a_second_and_both_sides_time_a_fit(tmp_path):
    """The utilization counter needs it, and nobody waits meanwhile."""
    outcome = runner(tmp_path, gpu_round_seconds=1.0).measure(GPU, CPU)
    for r in outcome.rounds:
        assert r.seconds == pytest.approx(1.0, rel=0.05)
    assert all(start.fit is not None for start in outcome.starts)


def test_the_speedup_of_workers_that_ran_alone_is_of_their_medians(tmp_path):
    """A round has no partner: one disturbed round changes nothing."""
    outcome = runner(tmp_path).measure(GPU, CPU)
    true = 2e-4 / seconds(GPU)
    assert stats.speedup(outcome).value == pytest.approx(true)
    slow = tuple(
        dataclasses.replace(r, seconds=3 * r.seconds) if r.role == "case" and r.pair == 0 else r
        for r in outcome.rounds
    )
    assert stats.speedup(dataclasses.replace(outcome, rounds=slow)).value == pytest.approx(true)


def test_a_run_with_readings_is_the_same_after_it_was_written(run):
    """Every reading reaches the disk."""
    assert from_json(type(run), to_json(run)) == run


def test_the_device_table_has_every_row_and_the_published_values(tmp_path):
    """60 s → 5 s at 256, and 30 s → 3 s of the improved model at 1024."""
    measuring = runner(tmp_path, blocks=3)
    for variant, size in (("baseline", 256), ("improved", 1024), ("improved", 64)):
        gpu = dataclasses.replace(GPU, variant=variant, batch_size=size)
        measuring.measure(gpu, dataclasses.replace(gpu, device="cpu"))
    frame = dataframe(measuring.run(), "device_speedup").set_index(["variant", "batch_size"])
    assert frame.loc[("baseline", 256), "published"] == pytest.approx(12.0)
    assert frame.loc[("improved", 1024), "published"] == pytest.approx(10.0)
    assert frame["published"].isna().sum() == 1
    row = frame.loc[("baseline", 256)]
    assert row["speedup"] == pytest.approx(2e-4 / seconds(GPU))
    assert (row["device"], row["reference"]) == ("gpu", "cpu")
    assert row["verdict"] == "faster"


def test_an_epoch_has_a_speedup_of_its_own(run):
    """From a `fit` on both sides; what `fit` adds once an epoch makes it smaller here."""
    frame = dataframe(run, "device_speedup")
    last = frame.iloc[2]
    assert 1 < last["epoch_speedup"] < last["speedup"]
    assert last["epoch_low"] <= last["epoch_speedup"] <= last["epoch_high"]


def test_crossover_and_break_even_have_a_row_each(run):
    """At 4 samples a step the GPU is slower: 1010 against 200 µs a sample."""
    crossing = dataframe(run, "device_crossover").set_index("variant")
    assert 4 < crossing.loc["baseline", "batch_size"] < 64
    even = dataframe(run, "device_break_even").set_index(["variant", "batch_size"])
    assert len(even) == 6
    assert even.loc[("baseline", 4), "reason"] == "never: its steps are not faster"
    assert even.loc[("baseline", 4)][["pays_after_steps", "pays_after_epochs"]].isna().all()


def test_two_backends_have_a_crossover_each(tmp_path):
    """They are not to be mixed."""
    measuring = runner(tmp_path)
    for backend in ("tensorflow", "torch"):
        for size in (4, 1024):
            gpu = dataclasses.replace(GPU, backend=backend, batch_size=size)
            measuring.measure(gpu, dataclasses.replace(gpu, device="cpu"))
    run = measuring.run()
    assert list(dataframe(run, "device_crossover")["backend"]) == ["tensorflow", "torch"]
    assert len(dataframe(run, "device_break_even")) == 4
    assert "backend" in text_table(run, "device_speedup").columns


def test_a_cpu_against_a_gpu_has_no_crossover_of_the_gpu(tmp_path):
    """The speedup is there, the other way round."""
    measuring = runner(tmp_path)
    measuring.measure(CPU, GPU)
    found = dataframes(measuring.run())
    assert "device_speedup" in found
    assert not {"device_crossover", "device_break_even"} & set(found)


def test_memory_power_and_energy_are_in_the_row_of_the_gpu_alone(run):
    """Joules a sample: 205 W times the seconds of a sample."""
    frame = dataframe(run, "measurements").set_index(["variant", "batch_size", "device"])
    row = frame.loc[("baseline", 64, "gpu")]
    assert row["gpu_memory_mib"] == 300
    assert row["gpu_memory_source"] == "allocator peak of the rounds"
    assert row["gpu_nvml_memory_mib"] == pytest.approx(1536)
    assert row["gpu_power_w"] == pytest.approx(205)
    assert row["gpu_power_source"] == "energy counter"
    assert row["joules_per_sample"] == pytest.approx(205 * row["sample_us"] / 1e6)
    assert row["gpu_readings"] == 6 * 41
    columns = [name for name in frame.columns if name.startswith("gpu_")]
    assert frame.loc[("baseline", 64, "cpu")][[*columns, "joules_per_sample"]].isna().all()


def test_what_is_missing_of_a_gpu_is_empty_with_its_reason(run):
    """In the CSV and below the table."""
    nothing = gpu_usage(
        lambda _: dataclasses.replace(busy_gpu(0), utilization_percent=None, memory_bytes=None),
        seconds=0.5,
        refused={"utilization_percent": "Not Supported", "memory_bytes": "Not Supported"},
    )
    outcomes = tuple(with_gpu_usage(o, nothing) for o in run.outcomes)
    poor = dataclasses.replace(run, outcomes=outcomes)
    frame = dataframe(poor, "measurements")
    row = frame[frame["device"] == "gpu"].iloc[0]
    assert row[["gpu_percent", "gpu_power_w", "joules_per_sample"]].isna().all()
    assert "GPU %, device memory" in row["gpu_missing"]
    assert "NVML refuses it: Not Supported" in row["gpu_missing"]
    assert "GPU W: insufficient: 0 readings" in row["gpu_missing"]
    notes = text_table(poor, "measurements").notes
    assert any(note.startswith("missing: GPU W: insufficient") for note in notes)


def test_a_clock_that_was_held_is_named_with_the_gpu(run):
    """Without it a run is compared with others of a free clock."""
    facts = Gpu("Fake GPU", None, None, None, None, None, "PCI order", locked_mhz=1200)
    held = dataclasses.replace(run.machine, gpu="Fake GPU", gpu_facts=facts)
    caption = text_table(dataclasses.replace(run, machine=held), "measurements").caption
    assert "Fake GPU, its clock held at 1200 MHz" in caption


def test_files_of_a_device_run_hold_tables_and_charts(run, tmp_path):
    """A chart of each table, and one of the readings of each case on the GPU."""
    files.write(run, tmp_path)
    for name in ("device_speedup", "device_crossover", "device_break_even"):
        assert (tmp_path / "tables" / f"{name}.csv").stat().st_size
        assert (tmp_path / "charts" / f"{name}.png").stat().st_size
    timelines = sorted(path.name for path in (tmp_path / "charts").glob("gpu_*.png"))
    assert len(timelines) == 6
    assert timelines[0] == "gpu_baseline-mnist-b1024-tensorflow-gpu-t2.png"
    with (tmp_path / "tables" / "device_speedup.csv").open(newline="") as file:
        promised = (
            "variant batch_size device device_name reference speedup low high blocks verdict "
            "published"
        )
        assert set(promised.split()) <= set(next(csv.reader(file)))


def test_a_recorded_run_is_reported_where_there_is_no_gpu(run, tmp_path):
    """With the same numbers: a report needs neither the GPU nor a framework."""
    from harness.records.run_file import NAME

    (tmp_path / NAME).write_text(__import__("json").dumps(to_json(run)))
    again = folders.read(tmp_path)
    for name, frame in dataframes(run).items():
        assert frame.equals(dataframes(again)[name]), name


def test_a_framework_that_falls_back_to_the_cpu_is_a_failure(tmp_path):
    """Never a number of the CPU under the name of the GPU."""
    words = "tensorflow sees no GPU and would train on the CPU"
    launcher = FakeLauncher(seconds, failures={GPU.id: ("unsupported", words, "")})
    outcome = runner(tmp_path, launcher).measure(GPU, CPU)
    assert isinstance(outcome, Failure)
    assert (outcome.kind, outcome.message) == ("unsupported", words)


def test_a_gpu_lost_in_mid_run_fails_its_case_and_the_next_is_measured(tmp_path):
    """What was measured before stays."""
    launcher = FakeLauncher(seconds)
    measuring = runner(tmp_path, launcher)
    measuring.measure(GPU, CPU)
    launcher.failures[GPU.id] = ("error", "CUDA error: GPU is lost", "")
    other = dataclasses.replace(GPU, batch_size=64)
    launcher.failures[other.id] = ("error", "CUDA error: GPU is lost", "")
    assert isinstance(measuring.measure(other, dataclasses.replace(other, device="cpu")), Failure)
    assert not isinstance(measuring.measure(CPU, CPU), Failure)
    assert len(folders.read(tmp_path).outcomes) == 3


def test_the_charts_of_a_gpu_say_from_where_it_pays(run):
    """The batch size, and the steps."""
    titles = [drawing.title(drawn(run, f"device_{name}")) for name in ("speedup", "crossover")]
    assert titles[0].startswith("The GPU is faster from batch 64 on, up to ")
    assert titles[1] == "The GPU is as fast as the CPU from batch 22 on"


def test_without_a_crossing_there_is_no_chart_of_it(tmp_path):
    """The table says why."""
    measuring = runner(tmp_path, blocks=3)
    measuring.measure(GPU, CPU)
    run = measuring.run()
    assert len(dataframe(run, "device_crossover")) == 1
    assert drawn(run, "device_crossover") is None
