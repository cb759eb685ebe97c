"""JAX through Keras 3: its stateless train function, with the state kept between rounds."""

import contextlib
import hashlib
import itertools
import os
from operator import itemgetter
from typing import Any, ClassVar

import numpy as np

from harness.errors import BadCase
from harness.records import Case, Fit
from harness.worker import work
from harness.worker.backends.backend import Backend
from harness.worker.trainer import KerasTrainer, loss_in, median_seconds
from harness.workloads.datasets import Dataset, mapped

_STATE = [f"{name}_variables" for name in ("trainable", "non_trainable", "optimizer", "metrics")]
_FULL_PRECISION = ("float32", "highest", "F32_F32_F32")


class JaxTrainer(KerasTrainer):
    """Keeps the state of the train function between rounds, outside the model, as `fit` does."""

    def __init__(self, model: Any, data: Dataset, case: Case) -> None:
        super().__init__(model, data, case)
        own = self.batches() if case.hosts == 1 else [*map(self._own_part, self.batches())]
        batches = itertools.cycle(own)
        self._iterator = map(_shared_out, batches) if case.replicas > 1 else batches
        self._state: Any = None

    def _own_part(self, batch: Any) -> Any:
        """The rows of a batch that this host trains."""
        import jax

        size = self.case.batch_size // self.case.hosts
        start = jax.process_index() * size
        return mapped(batch, itemgetter(slice(start, start + size)))

    def reset(self) -> None:
        """Begin a new mean of the loss."""
        self._give_back()
        super().reset()
        self._take()

    def run(self, steps: int) -> float:
        """See `KerasTrainer.run`."""
        if self._state is None:
            self._take()
        state, logs = self._state, None
        for _ in self.calls(steps):
            logs, state = self.model.train_function(state, self._iterator)
        assert logs is not None
        self._state = state
        self.sync()
        return loss_in(logs)

    def count_traces(self) -> None:
        """Count compiled steps only: without a compiler Python runs every step."""
        if self.case.jit:
            super().count_traces()

    def sync(self) -> None:
        """Wait for the variables' values, here or where `fit` keeps them."""
        import jax

        values = self._state
        if values is None:
            kept = getattr(self.model, "_jax_state", None) or {}
            # Keras keeps values in its own lists and dicts, which JAX does not look into.
            values = [value for group in kept.values() for value in group]
        jax.block_until_ready(values)

    def _take(self) -> None:
        """Take the variables' values out of the model, as `fit` does."""
        kinds = dict.fromkeys([*_STATE, "purge_model_variables"], True)
        self._state = self.model._get_jax_state(**kinds)  # Keras has no public name

    def _give_back(self) -> None:
        if self._state is None:
            return
        self.model._jax_state = dict(zip(_STATE, self._state, strict=True))
        self.model._jax_state_synced = False
        self.model.jax_state_sync()
        self.model._jax_state = self._state = None  # the next step donates them

    def fit(self, steps: int, seconds: float) -> Fit:
        """See `KerasTrainer.fit`."""
        self._give_back()
        return super().fit(steps, seconds)

    def weights_digest(self) -> float:
        """See `KerasTrainer.weights_digest`."""
        self._give_back()
        return super().weights_digest()

    def _device(self) -> Any:
        import jax

        return jax.devices()[0]

    def device_name(self) -> str:
        """The kind of the first device."""
        device = self._device()
        return "cpu" if device.platform == "cpu" else str(device.device_kind)

    def float32_setting(self) -> str:
        """XLA multiplies float32 as TF32 where the GPU has it, unless it is set otherwise."""
        import jax

        major = int(str(getattr(self._device(), "compute_capability", "0")).split(".")[0])
        setting = str(getattr(jax.config, "jax_default_matmul_precision", None))
        return "TF32" if major >= 8 and setting not in _FULL_PRECISION else "float32"

    def program(self) -> str | None:
        """XLA tries kernels when it compiles, and may choose others in another process."""
        compiled = self._device().client.live_executables()
        modules = [module for one in compiled for module in one.hlo_modules()]
        texts = sorted(one.to_string() for one in modules if "train_step" in one.name)
        return hashlib.sha256("".join(texts).encode()).hexdigest()[:12] if texts else None

    def reset_peak_memory(self) -> None:
        """JAX cannot: the peak is that of the whole process."""

    def gpu_peak_memory(self) -> tuple[int | None, str]:
        """The allocator's peak since the worker began."""
        stats = self._device().memory_stats() or {}
        if "peak_bytes_in_use" not in stats:
            return None, "JAX's allocator keeps no account"
        return int(stats["peak_bytes_in_use"]), "allocator peak, first step and warm-up included"

    def allreduce(self) -> tuple[float, int]:
        """See `KerasTrainer.allreduce`; XLA makes it of a sum over all devices."""
        import jax
        from jax.sharding import Mesh, NamedSharding, PartitionSpec

        self._give_back()
        devices = jax.devices()[: self.case.replicas]
        mesh = Mesh(devices, ("batch",))
        spread = NamedSharding(mesh, PartitionSpec("batch"))
        everywhere = NamedSharding(mesh, PartitionSpec())

        def ones(weight: Any) -> Any:
            one = np.ones((1, *weight.shape), np.float32)
            shape = (len(devices), *weight.shape)
            return jax.make_array_from_callback(shape, spread, lambda _: one)

        weights = self.model.trainable_weights
        values = [ones(weight) for weight in weights]
        total = jax.jit(lambda arrays: [a.sum(axis=0) for a in arrays], out_shardings=everywhere)
        seconds = median_seconds(lambda: jax.block_until_ready(total(values)))
        return seconds, work.bytes_of(weights)


def _shared_out(batch: Any) -> Any:
    """A batch shared among devices as by `fit`."""
    from keras.src.backend.jax.trainer import _distribute_data  # Keras has no public name

    return _distribute_data(batch)


class Jax(Backend):
    """JAX: Keras compiles the step with XLA."""

    name = "jax"
    trainer = JaxTrainer
    gpu_build = "pip install 'jax[cuda12]'"
    libraries = ("jax", "jaxlib")
    defaults: ClassVar = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    jit_by_default = True
    out_of_memory = ("RESOURCE_EXHAUSTED", "Out of memory while trying to allocate")

    def undistributed(self, hosts: int = 1) -> None:
        """Devices of one host and of several train together."""

    def device_environment(self, device: str) -> dict[str, str]:
        """JAX takes the best device that it finds unless one is named."""
        return {"JAX_PLATFORMS": "cpu" if device == "cpu" else ""}

    def preload(self) -> None:
        """JAX's client and its threads start in the child."""
        import jax
        import keras

        _ = (keras.Model, keras.layers, keras.optimizers, jax.numpy)  # load lazy parts now

    def configure(self, case: Case) -> None:
        """Set devices; XLA's pool has one thread per usable CPU."""
        import jax

        if case.replicas > 1 and case.device == "cpu":
            jax.config.update("jax_num_cpu_devices", case.replicas // case.hosts)

    def join(self, case: Case, rank: int, size: int, address: str) -> None:
        """Processes on CPUs communicate through gloo."""
        import jax
        import keras

        # Read by JAX in the process of rank 0, which else listens on all addresses of its host.
        os.environ.setdefault("JAX_COORDINATOR_BIND_ADDRESS", address)

        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        keras.distribution.initialize(address, size, rank)

    def distributed(self, case: Case) -> contextlib.AbstractContextManager[Any]:
        """Set Keras's distribution for the whole process: it is read for every batch."""
        import keras

        if case.replicas == 1:
            return contextlib.nullcontext()
        devices = keras.distribution.list_devices(case.device)
        if len(devices) < case.replicas:
            raise BadCase(f"{case.replicas} devices were asked for, JAX sees {len(devices)}")
        used = devices[: case.replicas]
        parallel = keras.distribution.DataParallel(devices=used, auto_shard_dataset=False)
        keras.distribution.set_distribution(parallel)
        return contextlib.nullcontext()

    def gpus(self) -> list[str]:
        """Names of the GPUs, as JAX calls them."""
        import jax

        return [str(device.device_kind) for device in jax.devices() if device.platform == "gpu"]
