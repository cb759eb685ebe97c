"""TensorFlow through Keras 3: threads, sync, the compiled train function."""

import contextlib
import importlib.util
import os
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from harness.errors import BadCase
from harness.records import Case
from harness.worker import work
from harness.worker.backends.backend import Backend
from harness.worker.feeds import Feed
from harness.worker.trainer import KerasTrainer, loss_in, median_seconds
from harness.workloads.datasets import Dataset

_CUDA_FLAG = "--xla_gpu_cuda_data_dir"
_LIBDEVICE = "nvvm/libdevice/libdevice.10.bc"


def _cuda_folder() -> Path | None:
    """The folder of installed wheels that has libdevice: nvidia/cuda_nvcc, or later nvidia/cu13."""
    wheels = importlib.util.find_spec("nvidia")
    roots = map(Path, (wheels and wheels.submodule_search_locations) or ())
    found = (one for root in roots for one in root.glob(f"*/{_LIBDEVICE}"))
    library = next(found, None)
    return library and library.parents[2]


class TensorFlowTrainer(KerasTrainer):
    """Calls the compiled train function on an endless iterator."""

    def __init__(self, model: Any, data: Dataset, case: Case) -> None:
        import tensorflow as tf

        super().__init__(model, data, case)
        # A cycle over batches held as tensors, without threads or a copy of all data.
        options = tf.data.Options()
        options.autotune.enabled = False
        options.threading.private_threadpool_size = 1
        with tf.device("CPU:0"):  # else they would be in the memory of the GPU
            dataset = tf.data.Dataset.from_tensor_slices(self.stacked())
        dataset = dataset.repeat().with_options(options)
        if self.case.replicas > 1:
            dataset = self.model.distribute_strategy.experimental_distribute_dataset(dataset)
        self._iterator = iter(dataset)

    def run(self, steps: int) -> float:
        """See `KerasTrainer.run`."""
        outputs = None
        for _ in self.calls(steps):
            outputs = self.model.train_function(self._iterator)
        assert outputs is not None
        loss = loss_in(outputs)
        self.sync()
        return loss

    def sync(self) -> None:
        """On a CPU a step has ended when its call returns."""
        import tensorflow as tf

        if self.case.device == "gpu":
            tf.test.experimental.sync_devices()

    def trace(self, fed: Feed) -> None:
        """Train one batch of the shapes and types that a pipeline announces."""
        import tensorflow as tf

        source = fed.arguments["x"]
        if "batch_size" in fed.arguments:
            return
        # Traced anew: TensorFlow would join the shapes of rounds with these, and may lose a rank.
        self.model.make_train_function(force=True)
        if not hasattr(source, "element_spec"):  # Keras announces no batch size either
            import keras

            first = keras.tree.map_structure(np.asarray, fed.batch)
            first = tuple(first) if isinstance(first, list) else first
            self.model.fit((batch for batch in [first]), verbose=0)
            return
        spec = source.element_spec

        def announced(array: Any, of: Any) -> Any:
            cast = np.asarray(array).astype(of.dtype.as_numpy_dtype)
            return cast if cast.ndim == of.shape.rank else cast.reshape(-1, *of.shape[1:])

        flat = map(announced, tf.nest.flatten(fed.batch), tf.nest.flatten(spec))
        batch = tf.nest.pack_sequence_as(spec, [*flat])
        once = tf.data.Dataset.from_generator(lambda: iter([batch]), output_signature=spec)
        self.model.fit(once, verbose=0)

    def device_name(self) -> str:
        """The device that holds the weights."""
        device = self.model.trainable_weights[0].value.device
        return TensorFlow().gpus()[0] if "GPU" in device.upper() else "cpu"

    def float32_setting(self) -> str:
        """TF32 is TensorFlow's default where the GPU has it: from compute capability 8 on."""
        import tensorflow as tf

        gpu = tf.config.list_physical_devices("GPU")[0]
        capability = tf.config.experimental.get_device_details(gpu).get("compute_capability", (0,))
        allowed = tf.config.experimental.tensor_float_32_execution_enabled()
        return "TF32" if allowed and capability[0] >= 8 else "float32"

    def reset_peak_memory(self) -> None:
        """Reset the allocator's peak."""
        import tensorflow as tf

        if self.case.device == "gpu":
            with contextlib.suppress(ValueError):  # no statistics: `gpu_peak_memory` says so
                tf.config.experimental.reset_memory_stats("GPU:0")

    def gpu_peak_memory(self) -> tuple[int | None, str]:
        """The allocator's peak of the rounds; `cuda_malloc_async` may have no statistics."""
        import tensorflow as tf

        try:
            peak = tf.config.experimental.get_memory_info("GPU:0")["peak"]
        except (ValueError, tf.errors.OpError) as error:
            return None, f"TensorFlow's allocator keeps no account ({error})"
        return int(peak), "allocator peak of the rounds"

    def allreduce(self) -> tuple[float, int]:
        """See `KerasTrainer.allreduce`; with the collective of the strategy."""
        import tensorflow as tf

        strategy = self.model.distribute_strategy
        weights = [weight.value for weight in self.model.trainable_weights]

        def each() -> Any:
            context = tf.distribute.get_replica_context()
            values = [tf.convert_to_tensor(weight) for weight in weights]
            return context.all_reduce(tf.distribute.ReduceOp.SUM, values)

        @tf.function  # type: ignore[untyped-decorator]
        def reduce() -> Any:
            return strategy.run(each)

        def once() -> None:
            reduce()
            self.sync()

        return median_seconds(once), work.bytes_of(self.model.trainable_weights)


class TensorFlow(Backend):
    """TensorFlow: Keras traces the step as a `tf.function`."""

    name = "tensorflow"
    trainer = TensorFlowTrainer
    gpu_build = "pip install 'tensorflow[and-cuda]'"
    defaults: ClassVar = {"TF_CPP_MIN_LOG_LEVEL": "2", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}
    out_of_memory = (
        "ResourceExhaustedError",
        "Dst tensor is not initialized",  # copying a batch to a full GPU
        "Status: 1, message: could not create",  # oneDNN: dnnl_out_of_memory is 1
    )

    def undistributed(self, hosts: int = 1) -> str | None:
        """Devices of one host train together."""
        if hosts == 1:
            return None
        return (
            "TensorFlow's strategy for several hosts does not work with Keras 3 (keras issue "
            "20585); use the backend jax"
        )

    def device_environment(self, device: str) -> dict[str, str]:
        """Say where the wheels of CUDA have libdevice and ptxas, unless the user does.

        A compiled step needs them, and TensorFlow does not look everywhere.
        """
        flags = os.environ.get("XLA_FLAGS", "")
        folder = _cuda_folder() if device == "gpu" and _CUDA_FLAG not in flags else None
        return {} if folder is None else {"XLA_FLAGS": f"{flags} {_CUDA_FLAG}={folder}".strip()}

    def preload(self) -> None:
        """TensorFlow's context and thread pools start in the child."""
        import keras
        import tensorflow as tf

        _ = (keras.Model, keras.layers, keras.optimizers, tf.data.Dataset)  # load lazy parts now

    def configure(self, case: Case) -> None:
        """Set threads and devices."""
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(case.threads)
        if not case.setting("inter_op"):
            tf.config.threading.set_inter_op_parallelism_threads(case.threads)
        if case.replicas > 1 and case.device == "cpu":
            (cpu,) = tf.config.list_physical_devices("CPU")
            logical = [tf.config.LogicalDeviceConfiguration() for _ in range(case.replicas)]
            tf.config.set_logical_device_configuration(cpu, logical)

    def distributed(self, case: Case) -> contextlib.AbstractContextManager[Any]:
        """The scope of a strategy that mirrors the variables on each device."""
        import tensorflow as tf

        if case.replicas == 1:
            return contextlib.nullcontext()
        devices = tf.config.list_logical_devices(case.device.upper())
        if len(devices) < case.replicas:
            raise BadCase(f"{case.replicas} devices were asked for, TensorFlow sees {len(devices)}")
        names = [device.name for device in devices[: case.replicas]]
        return tf.distribute.MirroredStrategy(names).scope()  # type: ignore[no-any-return]

    def gpus(self) -> list[str]:
        """Names of the GPUs, as the driver has them."""
        import tensorflow as tf

        details = tf.config.experimental.get_device_details
        found = tf.config.list_physical_devices("GPU")
        return [str(details(gpu).get("device_name", gpu.name)) for gpu in found]

    def kernels(self) -> list[str]:
        """A build for CPUs has none."""
        import tensorflow as tf

        return list(tf.sysconfig.get_build_info().get("cuda_compute_capabilities", ()))
