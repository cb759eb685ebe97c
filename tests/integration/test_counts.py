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
    from harness.worker import arithmetic
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
        print(json.dumps([name, arithmetic.macs(model, None)[0], kinds, total]))
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


MODELS = """
    import json
    import keras, numpy as np
    from keras import layers, ops
    from harness.worker import arithmetic
    from harness.workloads import keras_examples

    T, F, U = 7, 5, 4

    def on(*its, shape=(T, F)):
        return keras.Sequential([keras.Input(shape), *its])

    class Own(layers.Layer):
        "A product of its own, a layer of its own, and attention by hand."

        def __init__(self):
            super().__init__()
            self.inner = layers.Dense(3)

        def build(self, shape):
            self.kernel = self.add_weight((shape[-1], 6))
            self.inner.build((*shape[:-1], 6))

        def call(self, x, training=None):
            x = ops.matmul(x, self.kernel)
            scores = ops.einsum("btd,bsd->bts", x, x)
            return self.inner(ops.matmul(ops.softmax(scores), x))

    class Foreign(layers.Layer):
        def build(self, shape):
            self.kernel = self.add_weight((shape[-1], 6))

        def call(self, x):
            import tensorflow as tf
            return tf.matmul(x, self.kernel)

    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.one, self.two = layers.Dense(8), layers.Dense(2)

        def call(self, x, training=False):
            return self.two(self.one(x) * self.one(x))

    def shared():
        x = keras.Input((F,))
        layer = layers.Dense(F)
        return keras.Model(x, layer(layer(x)))

    def attention():
        x = keras.Input((T, 6))
        return keras.Model(x, layers.MultiHeadAttention(2, 3)(x, x))

    def nested():
        x = keras.Input((T, F))
        return keras.Model(x, on(layers.GRU(U))(x))

    def subclassed():
        model = Net()
        model.build((None, F))
        return model

    def dotted():
        x = keras.Input((T, 6))
        return keras.Model(x, layers.Attention()([x, x]))

    models = {
        "lstm": on(layers.LSTM(U)),
        "gru": on(layers.GRU(U)),
        "rnn": on(layers.SimpleRNN(U)),
        "stacked": on(layers.RNN([layers.LSTMCell(U), layers.GRUCell(3)])),
        "bidirectional": on(layers.Bidirectional(layers.LSTM(U))),
        "times": on(layers.TimeDistributed(layers.LSTM(U)), shape=(3, T, F)),
        "times_dense": on(layers.TimeDistributed(layers.Dense(U))),
        "einsum": on(layers.EinsumDense("abc,cd->abd", (None, U))),
        "einsum_dots": on(layers.EinsumDense("...x,xy->...y", U), shape=(3, T, F)),
        "transposed": on(layers.Conv2DTranspose(U, 3, strides=2), shape=(4, 4, 2)),
        "separable": on(layers.SeparableConv2D(U, 3), shape=(8, 8, 2)),
        "depthwise": on(layers.DepthwiseConv2D(3), shape=(8, 8, 2)),
        "words": on(layers.Embedding(50, 8), layers.LayerNormalization(), shape=(T,)),
        "own": on(Own()),
        "shared": shared(),
        "attention": attention(),
        "nested": nested(),
        "subclassed": subclassed(),
        "dotted": dotted(),
        "foreign": on(Foreign()),
        "open": keras.Sequential([keras.Input((None, F)), layers.LSTM(U)]),
    }
    sample = np.zeros((1, F), "float32")
    found = {name: arithmetic.macs(model, sample) for name, model in models.items()}
    for name in ("irnn", "antirectifier", "text_transformer", "hierarchical_rnn"):
        found[name] = arithmetic.macs(getattr(keras_examples, name)(), None)
    for name in ("bidirectional_lstm", "cifar10_cnn", "mnist_conv", "reuters_mlp"):
        found[name] = arithmetic.macs(getattr(keras_examples, name)(), None)
    print(json.dumps(found))
"""


def test_layers_of_every_kind_are_counted_as_by_hand(tmp_path):
    """Recurrent, wrapped, attention, a user's own; what cannot be counted says so."""
    script = tmp_path / "count.py"
    script.write_text(textwrap.dedent(MODELS))
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    t, f, u = 7, 5, 4
    lstm, gru = t * (f + u) * 4 * u, t * (f + u) * 3 * u
    text = 200 * 4 * 32 * 32 + 2 * 200 * 200 * 32 + 2 * 200 * 32 * 32 + 32 * 20 + 20 * 2
    by_hand = {
        "lstm": lstm,
        "gru": gru,
        "rnn": t * (f + u) * u,
        "stacked": lstm + t * (u + 3) * 3 * 3,
        "bidirectional": 2 * lstm,
        "times": 3 * lstm,
        "times_dense": t * f * u,
        "einsum": t * f * u,
        "einsum_dots": 3 * t * f * u,
        "transposed": 4 * 4 * 2 * 3 * 3 * u,
        "separable": 6 * 6 * (3 * 3 * 2 + 2 * u),
        "depthwise": 6 * 6 * 2 * 9,
        "words": 0,
        "own": t * f * 6 + t * t * 6 + t * t * 6 + t * 6 * 3,
        "shared": 2 * f * f,
        "attention": 4 * t * 6 * 6 + 2 * t * t * 6,
        "nested": gru,
        "subclassed": 2 * f * 8 + 8 * 2,
        "dotted": 2 * t * t * 6,
        "irnn": 784 * 101 * 100 + 100 * 10,
        "antirectifier": 784 * 256 + 512 * 256 + 256 * 256 + 512 * 256 + 256 * 10,
        "text_transformer": text,
        "hierarchical_rnn": 28 * 28 * 129 * 512 + 28 * 256 * 512 + 128 * 10,
        "bidirectional_lstm": 2 * 200 * 192 * 256 + 2 * 200 * 192 * 256 + 128,
        "reuters_mlp": 1000 * 512 + 512 * 46,
        "mnist_conv": 26 * 26 * 32 * 9 + 11 * 11 * 64 * 9 * 32 + 1600 * 10,
    }
    assert {name: macs for name, (macs, _) in found.items() if name in by_hand} == by_hand
    assert found["foreign"] == [None, "not counted: no rule for Foreign"]
    assert found["open"][0] is None
    assert "open" in found["open"][1]
