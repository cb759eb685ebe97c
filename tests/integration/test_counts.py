"""The count of multiply-accumulates against arithmetic by hand and the frameworks' own counts."""

import json
import subprocess
import sys
import textwrap

import pytest

from harness.measure.machine.facts import usable_cpus
from harness.records import Case, to_json
from harness.workloads import registry

pytestmark = pytest.mark.slow

# 28×28×1 in, 10 classes; biases left out. Layer by layer: first convolution, second, dense ones.
BY_HAND = {
    "baseline": 26 * 26 * 32 * 9 + 24 * 24 * 64 * 9 * 32 + 9216 * 128 + 1280,
    "improved": 20 * 20 * 32 * 81 + 18 * 18 * 64 * 9 * 32 + 5184 * 10,
    "wide_kernel": 20 * 20 * 32 * 81 + 18 * 18 * 64 * 9 * 32 + 5184 * 128 + 1280,
    "no_hidden_dense": 26 * 26 * 32 * 9 + 24 * 24 * 64 * 9 * 32 + 9216 * 10,
    "half_width": 26 * 26 * 16 * 9 + 24 * 24 * 32 * 9 * 16 + 4608 * 64 + 640,
    "double_width": 26 * 26 * 64 * 9 + 24 * 24 * 128 * 9 * 64 + 18432 * 256 + 2560,
}


def facts_of(launcher, variant):
    return facts_of_case(launcher, Case(variant, "synthetic", 16))


def facts_of_case(launcher, case):
    worker = launcher.start(case, timeout=300.0)
    try:
        return worker.ask("open", case=to_json(case), cpus=usable_cpus())["facts"]
    finally:
        launcher.end(worker)


def test_published_totals_are_met_by_hand():
    """11 992 448 and 7 060 608."""
    assert (BY_HAND["baseline"], BY_HAND["improved"]) == (11_992_448, 7_060_608)


@pytest.mark.parametrize("variant", BY_HAND)
def test_multiply_accumulates_are_those_by_hand(launcher, variant):
    """Exactly."""
    assert facts_of(launcher, variant)["macs_per_sample"] == BY_HAND[variant]


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("MobileNetV3Small", 56),  # Howard et al. 2019, "Searching for MobileNetV3", table 3
        ("EfficientNetB0", 390),  # Tan and Le 2019, "EfficientNet", table 2
    ],
)
def test_multiply_accumulates_are_those_of_the_papers(launcher, name, millions):
    """At 224×224×3."""
    case = Case(f"keras.applications:{name}", "fitted", 2, input_shape=(224, 224, 3))
    counted = facts_of_case(launcher, case)["macs_per_sample"]
    assert counted == pytest.approx(millions * 1e6, rel=0.02)


def test_memory_is_counted(launcher):
    """Four bytes a number; Adadelta keeps two numbers a weight, and a step count and a rate."""
    facts = facts_of(launcher, "baseline")
    assert facts["parameter_bytes"] == 4 * 1_199_882
    assert facts["optimizer_bytes"] == pytest.approx(2 * 4 * 1_199_882, abs=64)
    layers = 26 * 26 * 32 + 24 * 24 * 64 + 2 * (12 * 12 * 64) + 128 + 128 + 10
    assert facts["activation_bytes_per_sample"] == 4 * layers


def test_a_width_sweep_shares_a_layout_and_other_variants_do_not(launcher):
    """That is how it is found."""
    layouts = {name: facts_of(launcher, name)["layout"] for name in ("baseline", *BY_HAND)}
    assert layouts["baseline"] == layouts["half_width"] == layouts["double_width"]
    assert (
        len({layouts[n] for n in ("baseline", "improved", "wide_kernel", "no_hidden_dense")}) == 4
    )


def test_a_matrix_product_has_a_rate(launcher):
    """Of a size that keeps the device busy."""
    case = Case("improved", "synthetic", 16)
    worker = launcher.start(case, timeout=300.0)
    worker.ask("open", case=to_json(case), cpus=usable_cpus())
    found = worker.ask("product_rate", seconds=0.05)
    launcher.end(worker)
    assert found["product_size"] >= 512
    assert found["product_flops"] > 1e8


def test_a_copy_has_a_rate(launcher):
    """Of arrays that are larger than most caches."""
    case = Case("improved", "synthetic", 16)
    worker = launcher.start(case, timeout=300.0)
    worker.ask("open", case=to_json(case), cpus=usable_cpus())
    found = worker.ask("copy_rate", seconds=0.05)
    launcher.end(worker)
    assert found["copy_bytes"] >= 128 * 2**20
    assert found["copy_bytes_per_second"] > 1e8


SCRIPT = """
    import json, sys
    import keras, tensorflow as tf
    from tensorflow.python.profiler import model_analyzer, option_builder
    from harness.worker import work
    from harness.workloads import registry

    def of_framework(model):
        "Floating-point operations of convolutions and matrix products, by TensorFlow's profiler."
        shape = (1, *model.input_shape[1:])
        function = tf.function(lambda x: model(x, training=False))
        graph = function.get_concrete_function(tf.TensorSpec(shape, tf.float32)).graph
        options = option_builder.ProfileOptionBuilder(
            option_builder.ProfileOptionBuilder.float_operation()).with_empty_output()
        options.order_by("float_ops")
        found = model_analyzer.profile(graph, options=options.build(), cmd="op")
        kinds = {}
        def walk(node):
            kinds[node.name] = kinds.get(node.name, 0) + node.float_ops
            for child in node.children:
                walk(child)
        walk(found)
        return kinds, found.total_float_ops

    for name in sys.argv[1:]:
        model = registry.find(name)()
        kinds, total = of_framework(model)
        print(json.dumps([name, work.macs(model)[0], kinds, total]))
"""


def test_the_count_agrees_with_tensorflows_own(tmp_path):
    """Two operations a multiply-accumulate; the profiler also counts biases, pooling and so on."""
    script = tmp_path / "profile.py"
    script.write_text(textwrap.dedent(SCRIPT))
    names = [name for name in registry.names() if "dropout" not in name]
    done = subprocess.run(
        [sys.executable, str(script), *names], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    assert [line[0] for line in lines] == names
    for name, macs, _, total in lines:
        assert macs == pytest.approx(total / 2, rel=0.02), name
        assert 2 * macs <= total, name
