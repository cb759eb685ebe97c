"""Levers: read, moved, refused; searched for the best stack; shown as a table and as code."""

import dataclasses

import pytest
from fakes import FakeLauncher, runner_of
from samples import dataframe, dataframes, drawn, text_table

from harness.analyze import levers as judged
from harness.analyze import stats
from harness.analyze.analysis import Analysis
from harness.commands.tune import Tuner
from harness.errors import HarnessError
from harness.measure.schedule import plan_alone, plan_case, plan_reference
from harness.records import Attempt, Case, Estimate, Tuning
from harness.records.lever_declarations import LEVERS
from harness.report import files, formats, sentence, settings_code
from harness.tables import drawing
from harness.worker.backends import find
from harness.workloads import levers

PLAIN = Case("baseline", "mnist", 256, threads=2)


def test_a_lever_moves_the_field_of_a_case_or_is_kept_by_its_name():
    """Sorted, so that equal cases have equal ids; a second setting takes the first one's place."""
    case = levers.change(PLAIN, "malloc=tcmalloc+feed=cached+precision=mixed_bfloat16+jit=on")
    assert (case.precision, case.jit) == ("mixed_bfloat16", True)
    assert case.levers == ("feed=cached", "malloc=tcmalloc")
    assert case == levers.change(
        levers.change(PLAIN, "jit=on+feed=slices"),
        "feed=cached+malloc=tcmalloc+precision=mixed_bfloat16",
    )
    assert (
        case.id
        == "baseline-mnist-b256-tensorflow-cpu-t2-mixed_bfloat16-jit-feed=cached-malloc=tcmalloc"
    )
    assert levers.change(PLAIN, "threads=half").threads == 1
    assert levers.change(PLAIN, "steps_per_execution=4").steps_per_execution == 4
    assert PLAIN.feed is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("precison=mixed_bfloat16", "did you mean precision"),
        ("qq=1", "no lever 'qq'; known: jit, precision"),
        ("jit", "the setting is missing: jit=…"),
        ("jit=maybe", "known: on, off"),
        ("feed=tape", "known: arrays, slices"),
        ("steps_per_execution=many", "not a whole number"),
        ("threads=0", "neither half nor a whole number"),
        ("jit=on+malloc=mine", "known: keep, hugepages"),
    ],
)
def test_what_is_no_lever_is_refused(text, message):
    """With what is near, or known."""
    with pytest.raises(HarnessError) as refused:
        levers.check(text)
    assert message in str(refused.value)


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_every_lever_is_tried_or_has_a_reason(backend):
    """With each backend; what is tried can be moved."""
    tried = levers.tried(backend)
    known = {one.name for one in levers.LEVERS if not one.asked}
    assert {levers.parts(text)[0][0].name for text in tried} == known
    plain = dataclasses.replace(PLAIN, backend=backend, jit=backend == "jax")
    for text in tried:
        changed = levers.change(plain, text)
        assert levers.unavailable(text, plain) or changed != plain, text


def test_levers_of_a_users_own():
    """Another variant, any variable of the environment, several at once under one name."""
    text = "variant=improved+env:XLA_FLAGS=--xla_cpu_enable_fast_math=true+jit=on"
    levers.check(text)
    case = levers.change(PLAIN, text)
    assert (case.variant, case.jit) == ("improved", True)
    assert case.levers == ("env:XLA_FLAGS=--xla_cpu_enable_fast_math=true",)
    assert levers.environment(case) == {"XLA_FLAGS": "--xla_cpu_enable_fast_math=true"}
    assert levers.names(text) == {"variant", "env:XLA_FLAGS", "jit"}
    with pytest.raises(HarnessError, match="did you mean improved"):
        levers.check("variant=imprved")


def test_what_cannot_be_moved_here_says_why(monkeypatch):
    """A lever of GPUs, of another backend, of a library that is not there."""
    monkeypatch.setattr(levers, "_library", lambda malloc: None)
    torch = dataclasses.replace(PLAIN, backend="torch")
    reasons = {
        text: levers.unavailable(text, case)
        for case, text in [
            (PLAIN, "tf32=off"),
            (dataclasses.replace(PLAIN, device="gpu"), "onednn=off"),
            (torch, "steps_per_execution"),
            (torch, "feed=cached"),
            (PLAIN, "malloc=tcmalloc"),
            (PLAIN, "precision=mixed_float16"),
            (PLAIN, "jit=off"),
        ]
    }
    assert reasons["tf32=off"] == "only on GPUs"
    assert reasons["onednn=off"] == "only on CPUs"
    assert "one step per call" in reasons["steps_per_execution"]
    assert "TensorFlow into the worker of torch" in reasons["feed=cached"]
    assert "apt install libtcmalloc-minimal4" in reasons["malloc=tcmalloc"]
    assert "float16 is for GPUs" in reasons["precision=mixed_float16"]
    assert reasons["jit=off"] == "the case has this setting already"
    assert levers.unavailable("precision=mixed_bfloat16", PLAIN) is None
    assert levers.unavailable("tf32=off", dataclasses.replace(PLAIN, device="gpu")) is None


def test_what_a_process_reads_at_its_start_is_in_its_environment(monkeypatch):
    """The rest is set by the worker itself."""
    monkeypatch.setattr(levers, "_library", lambda names: f"lib{names[-1]}.so.4")

    def environment(text, backend="tensorflow"):
        return levers.environment(levers.change(dataclasses.replace(PLAIN, backend=backend), text))

    assert environment("onednn=off") == {"TF_ENABLE_ONEDNN_OPTS": "0"}
    assert environment("onednn=off", "torch") == {}
    assert environment("malloc=tcmalloc+jit=on") == {"LD_PRELOAD": "libtcmalloc.so.4"}
    assert environment("malloc=hugepages") == {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
    assert set(environment("malloc=keep")) == {"MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"}
    assert environment("gpu_malloc=async") == {"TF_GPU_ALLOCATOR": "cuda_malloc_async"}
    assert environment("precision=mixed_bfloat16+feed=cached+steps_per_execution=4") == {}


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("fma amx_bf16", "has instructions for bfloat16 (amx_bf16)"),
        ("fma avx2", "has no instructions for bfloat16"),
    ],
)
def test_the_row_of_bfloat16_says_whether_the_cpu_has_it(monkeypatch, flags, words):
    """Without, it is emulated."""
    monkeypatch.setattr(levers, "_cpu_flags", lambda: set(flags.split()))
    assert words in levers.note("precision=mixed_bfloat16", PLAIN)
    assert levers.note("jit=on", PLAIN) == ""


@pytest.mark.parametrize("stride", [1, 4, 8])
def test_rounds_and_fits_are_of_whole_executions(stride):
    """However long a step is."""
    from fakes import protocol

    case = levers.change(PLAIN, f"steps_per_execution={stride}")
    for seconds in (0.001, 0.07, 3.0):
        for one in (
            plan_case(seconds, case, 2, protocol(), by_fit=False),
            plan_reference(seconds, case, protocol(), by_fit=False),
            plan_alone(seconds, case, protocol()),
        ):
            assert one.steps % stride == one.fit_steps % stride == 0
            assert one.steps >= stride
            assert one.fit_steps >= 2 * stride


def test_where_batches_come_another_way_both_sides_time_a_fit_of_half_a_block():
    """And rounds, which do not see it, are few."""
    from fakes import protocol

    fed = levers.change(PLAIN, "feed=cached")
    half = protocol(block_seconds=8.0, max_pairs=24)
    case = plan_case(0.1, fed, 16, half, by_fit=True)
    reference = plan_reference(0.1, PLAIN, half, by_fit=True)
    assert case.fit_steps == reference.fit_steps == 1 + 40
    assert case.rounds == 2


def test_the_speedup_of_another_feed_is_that_of_the_fits(tmp_path):
    """Its rounds are alike."""
    launcher = FakeLauncher(lambda case: 1e-3)
    fed = levers.change(PLAIN, "feed=cached")
    m = runner_of(tmp_path, launcher, 1, blocks=4).measure(fed, PLAIN)
    assert stats.by_fit(m)
    starts = tuple(
        dataclasses.replace(
            start, fit=dataclasses.replace(start.fit, seconds=2 * start.fit.seconds)
        )
        if start.role == "reference"
        else start
        for start in m.starts
    )
    slower = dataclasses.replace(m, starts=starts)
    expected = [
        there.fit.later_sample_seconds / here.fit.later_sample_seconds
        for here, there in zip(
            *([s for s in starts if s.role == role] for role in ("case", "reference")), strict=True
        )
    ]
    assert stats.speedup(slower).value == pytest.approx(expected[0])
    assert stats.speedup(m).value == pytest.approx(1.0)


def test_a_fit_counts_its_first_execution_whole():
    """What is later is the rate."""
    from harness.analyze.training.epochs import project
    from harness.records import Fit

    fit = Fit(
        steps=12, samples=120, seconds=5.0, first_step_seconds=3.0, whole_epoch=False, first_steps=4
    )
    assert fit.later_sample_seconds == pytest.approx(2.0 / 80)
    assert project(fit, 1000) == pytest.approx(3.0 + (1000 - 40) * 2.0 / 80)


FACTORS = {
    "precision=mixed_bfloat16": 0.5,
    "malloc=tcmalloc": 0.8,
    "steps_per_execution=4": 0.9,
    "steps_per_execution=8": 0.95,
    "optimizer=adam": 0.7,
    "jit=on": 5.0,
}


def seconds(case):
    """The levers multiply, but the allocator brings nothing with bfloat16."""
    found = 1e-3
    for lever, factor in FACTORS.items():
        if levers.change(case, lever) == case:
            spared = lever == "malloc=tcmalloc" and case.precision != "float32"
            found *= 1.05 if spared else factor
    return found


class FakeSession:
    """A runner with what a tuner needs of a session."""

    def __init__(self, runner):
        self.runner, self.expected = runner, 0
        self.early = []

    def measure(self, case, reference, wish):
        self.early.append(wish.early_steps)
        return self.runner.measure(case, reference, wish)

    def run(self):
        return self.runner.run()

    def expect(self, comparisons):
        self.expected += comparisons


def tuned(folder, wanted=tuple(FACTORS), **changes):
    """A run of every lever above and of their stack."""
    launcher = FakeLauncher(seconds)
    launcher.early_loss = lambda case: 1.2 if case.optimizer else 2.0 + 0.1 * case.seed
    bench = FakeSession(runner_of(folder, launcher, **changes))
    tuner = Tuner(bench, PLAIN, ["tf32=off"])
    for lever in wanted:
        tuner.alone(lever)
    return bench, tuner.stack()


@pytest.fixture(autouse=True)
def every_library(monkeypatch):
    """Whatever is installed here."""
    monkeypatch.setattr(levers, "_library", lambda names: f"lib{names[-1]}.so.4")


def test_the_stack_is_found_by_measured_steps(tmp_path):
    """The fastest first; what brings nothing on top of it, or changes what is learned, is not."""
    bench, stack = tuned(tmp_path)
    (tuning,) = bench.run().tunings
    assert tuning.stack == ("precision=mixed_bfloat16", "steps_per_execution=4")
    assert tuning.stacked == levers.change(PLAIN, "+".join(tuning.stack))
    assert (stack.case, stack.reference) == (tuning.stacked, PLAIN)
    assert stats.speedup(stack).value == pytest.approx(1 / 0.45)
    added = [a.lever for a in tuning.attempts if a.reference != PLAIN]
    assert added == ["malloc=tcmalloc", "steps_per_execution=4"], "8 after 4 is the same lever"
    assert bench.expected == len(["precision", "malloc", "4", "8"]) - 1
    assert set(bench.early) == {32}


def test_where_nothing_is_faster_there_is_no_stack(tmp_path):
    """That is a result as well."""
    bench, stack = tuned(tmp_path, ["jit=on"])
    assert stack is None
    (tuning,) = bench.run().tunings
    assert (tuning.stack, tuning.stacked) == ((), PLAIN)
    assert "none is faster" in sentence.sentence(Analysis(bench.run()))
    assert settings_code.code(Analysis(bench.run())) == ""


def test_a_run_that_is_gone_on_with_knows_what_was_tried(tmp_path):
    """And measures nothing twice."""
    bench, _ = tuned(tmp_path)
    before = bench.run()
    bench.runner.close()
    launcher = FakeLauncher(seconds)
    again = FakeSession(runner_of(tmp_path, launcher))
    for lever in FACTORS:
        Tuner(again, PLAIN).alone(lever)
    Tuner(again, PLAIN).stack()
    assert again.run().tunings == before.tunings
    assert launcher.rounds == 0


def test_every_lever_has_a_row_with_what_it_costs(tmp_path):
    """Those that cannot be moved with the reason, the stack last."""
    bench, _ = tuned(tmp_path)
    bench.runner.measure(PLAIN, PLAIN)  # is in no row: nothing was tried in it
    run = bench.runner.save()
    frame = dataframe(run, "levers")
    rows = {(r["what"], r["lever"], r["setting"]): r for r in frame.to_dict("records")}
    adam = rows["alone", "optimizer", "adam"]
    assert adam["loss_verdict"] == "differs"
    assert (adam["loss"], adam["loss_plain"]) == pytest.approx((1.2, 2.1))
    bfloat16 = rows["alone", "precision", "mixed_bfloat16"]
    assert bfloat16["loss_verdict"] == "same"
    assert (bfloat16["status"], bfloat16["in_stack"]) == ("measured", True)
    assert bfloat16["speedup"] == pytest.approx(2.0)
    refused = rows["alone", "tf32", "off"]
    assert (refused["status"], refused["reason"]) == ("not possible here", "only on GPUs")
    added = rows["added", "steps_per_execution", "4"]
    assert added["on_top_of"] == "precision=mixed_bfloat16"
    last = frame.iloc[-1]
    assert last["lever"] == "precision=mixed_bfloat16 + steps_per_execution=4"
    assert rows["alone", "jit", "on"]["verdict"] == "slower"
    assert {"first_step_s", "pays_after_steps", "peak_rss_mib"} <= set(frame.columns)


def test_cases_with_levers_stand_in_their_own_table_alone(tmp_path):
    """The plain one is a measurement like any other; nothing else counts them."""
    bench, _ = tuned(tmp_path)
    run = bench.runner.save()
    assert [
        s["case"] for s in dataframe(run, "measurements").to_dict("records") if not s["aside"]
    ] == [PLAIN.id]
    assert Analysis(run).roles.others() == []
    assert not [name for name in dataframes(run) if name.endswith("_speedup")]
    assert not Analysis(dataclasses.replace(run, tunings=())).roles.tuning_keys


def test_a_first_step_that_takes_longer_is_paid_for(tmp_path):
    """One second more, 128 ms saved a step, of an execution of one step."""
    m = runner_of(tmp_path, FakeLauncher(seconds), 1).measure(
        levers.change(PLAIN, "precision=mixed_bfloat16"), PLAIN
    )
    assert judged.pays_after_steps(m) == 1, "of equal first steps what a step saves is missing once"
    starts = tuple(
        dataclasses.replace(s, first_step_seconds=s.first_step_seconds + (s.role == "case"))
        for s in m.starts
    )
    assert judged.pays_after_steps(dataclasses.replace(m, starts=starts)) == 1 + round(1 / 0.128)
    slower = runner_of(tmp_path / "slower", FakeLauncher(seconds), 1).measure(
        levers.change(PLAIN, "jit=on"), PLAIN
    )
    assert judged.pays_after_steps(slower) is None


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (-0.02, 0.03, "same"),
        (0.06, 0.2, "differs"),
        (-0.4, -0.3, "differs"),
        (0.03, 0.1, "not shown"),
        (None, None, None),
    ],
)
def test_losses_are_the_same_only_where_their_whole_interval_is(low, high, verdict):
    """Within 5 %."""
    assert judged.loss_verdict(Estimate(0.0, low, high, 6)) == verdict


def test_quick_effort_takes_what_is_faster_by_more_than_the_margin(tmp_path):
    """It has no intervals."""
    bench, _ = tuned(tmp_path, blocks=2, effort="quick")
    (tuning,) = bench.run().tunings
    assert tuning.stack == ("precision=mixed_bfloat16", "steps_per_execution=4")
    built = text_table(bench.run(), "levers")
    assert "| faster |" not in formats.to_markdown(built)


def test_the_table_says_what_is_taken_and_what_learns_differently(tmp_path):
    """And why a row has no number."""
    bench, _ = tuned(tmp_path)
    run = bench.runner.save()
    text = formats.to_markdown(text_table(run, "levers"))
    assert "tf32 off: only on GPUs" in text
    assert "-42.8 % !" in text
    assert "changes what is learned" in text
    assert "all: precision=mixed_bfloat16 + steps_per_execution=4" in text
    assert "6 settings tried on baseline at batch 256" in sentence.sentence(Analysis(run))
    assert "2.22× [2.22, 2.22] as fast as without" in sentence.sentence(Analysis(run))
    figure = drawn(run, "levers")
    assert figure is not None
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels[0] == "precision mixed_bfloat16"
    assert labels[-1] == "all kept together"
    assert drawing.title(figure).startswith("Best combination: 2.22× with precision")
    assert "XLA (jit on)" in labels
    assert not any("tf32" in label for label in labels)


def test_a_setting_without_a_shown_difference_is_named_and_not_drawn(tmp_path):
    """A bar of no length says nothing."""
    bench, _ = tuned(tmp_path, ["precision=mixed_bfloat16", "onednn=off"])
    figure = drawn(bench.runner.save(), "levers")
    assert "not drawn (same, small difference or undecided): onednn off" in drawing.caption(figure)
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert "onednn off" not in labels


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_the_recommended_settings_are_code(tmp_path, backend):
    """Whatever is in the stack; it can be compiled."""
    plain = dataclasses.replace(PLAIN, backend=backend, jit=backend == "jax")
    texts = [t for t in levers.tried(backend) if "=" in t and not t.startswith("optimizer")]
    chosen = {t.partition("=")[0]: t for t in texts}
    stacked = levers.change(plain, "+".join(chosen.values()))
    runner = runner_of(tmp_path, FakeLauncher(lambda case: 1e-3 if case == plain else 5e-4))
    runner.measure(stacked, plain)
    environment = {"LD_PRELOAD": "libtcmalloc.so.4"}
    attempt = Attempt("malloc=tcmalloc", stacked, plain, environment=environment)
    runner.keep(Tuning(plain, (attempt,), tuple(chosen.values()), stacked))
    code = settings_code.code(Analysis(runner.save()))
    compile(code, "recommended_settings.py", "exec")
    assert "2.00×" in code
    assert "export LD_PRELOAD=libtcmalloc.so.4" in code
    assert 'keras.config.set_dtype_policy("mixed_float16")' in code
    assert f"jit_compile={backend != 'jax'}" in code
    executed = [
        one.statement(stacked) for one in LEVERS if one.setting(plain) != one.setting(stacked)
    ]
    assert set(filter(None, executed)) <= set(code.splitlines()), "the line that was measured"
    assert find(backend)
    written = files.write(runner.save(), runner.folder)
    assert "recommended_settings.py" in {path.name for path in written.paths}


def test_going_back_to_arrays_is_code_too(tmp_path):
    """Where the plain case has a feed of its own."""
    plain = levers.change(PLAIN, "feed=cached")
    runner = runner_of(tmp_path, FakeLauncher(lambda case: 1e-3 if case == plain else 5e-4))
    runner.measure(PLAIN, plain)
    attempt = Attempt("feed=arrays", PLAIN, plain)
    runner.keep(Tuning(plain, (attempt,), ("feed=arrays",), PLAIN))
    code = settings_code.code(Analysis(runner.save()))
    compile(code, "recommended_settings.py", "exec")
    assert "model.fit(x, y, ...)  # arrays in memory" in code.splitlines()


def test_losses_are_compared_in_the_blocks_that_have_both(tmp_path):
    """A reference of several settings trains for those that do not learn the same, too."""
    runner = runner_of(tmp_path, FakeLauncher(), blocks=2)
    m = runner.measure(levers.change(PLAIN, "feed=cached"), PLAIN)
    starts = [
        dataclasses.replace(s, early_steps=32, early_loss=2.0 if s.role == "reference" else 1.0)
        for s in m.starts
    ]
    both = dataclasses.replace(m, starts=tuple(starts))
    assert (judged.loss_difference(both).value, judged.loss_difference(both).n) == (-0.5, 2)
    starts = [
        dataclasses.replace(s, early_loss=None) if (s.role, s.block) == ("case", 1) else s
        for s in starts
    ]
    assert judged.loss_difference(dataclasses.replace(m, starts=tuple(starts))).n == 1
