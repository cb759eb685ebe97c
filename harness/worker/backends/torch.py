"""Torch through Keras 3: threads, sync, the train function, eager unless a case asks for jit."""

import contextlib
import itertools
from typing import Any, ClassVar

from harness.records import Case
from harness.worker.backends.backend import Backend
from harness.worker.trainer import KerasTrainer, loss_in
from harness.workloads.datasets import Dataset


class TorchTrainer(KerasTrainer):
    """Calls the train function batch by batch."""

    def __init__(self, model: Any, data: Dataset, case: Case) -> None:
        import keras
        import torch

        super().__init__(model, data, case)
        batches = keras.tree.map_structure(torch.from_numpy, self.batches())
        self._iterator = itertools.cycle(batches)

    def run(self, steps: int) -> float:
        """See `KerasTrainer.run`."""
        import keras

        self.model.train()  # as `fit` does before an epoch
        logs = None
        for _ in self.calls(steps):
            # As in `fit`, a batch is copied to the device before its step.
            batch = keras.tree.map_structure(keras.ops.convert_to_tensor, next(self._iterator))
            logs = self.model.train_function((batch,))
        assert logs is not None
        self.sync()
        if self.case.jit:
            from torch._dynamo.utils import counters

            self.traces = int(counters["stats"]["unique_graphs"])  # that the compiler has made
        return loss_in(logs)

    def count_traces(self) -> None:
        """Torch would compile a step with a count inside again each time: see `run`."""

    def sync(self) -> None:
        """On a CPU an operation has ended when its call returns."""
        import torch

        if self.case.device == "gpu":
            torch.cuda.synchronize()

    def device_name(self) -> str:
        """The device that holds the weights."""
        import torch

        device = self.model.trainable_weights[0].value.device
        return "cpu" if device.type == "cpu" else torch.cuda.get_device_name(device)

    def float32_setting(self) -> str:
        """Torch's defaults differ: TF32 in convolutions, float32 in matrix products."""
        import torch

        if torch.cuda.get_device_capability()[0] < 8:
            return "float32"
        products, convolutions = _tf32_of(torch.backends)
        if products == convolutions:
            return "TF32" if products else "float32"
        return "TF32 in matrix products only" if products else "TF32 in convolutions only"

    def reset_peak_memory(self) -> None:
        """Reset the allocator's peak."""
        import torch

        if self.case.device == "gpu":
            torch.cuda.reset_peak_memory_stats()

    def gpu_peak_memory(self) -> tuple[int, str]:
        """The allocator's peak of the rounds."""
        import torch

        return int(torch.cuda.max_memory_allocated()), "allocator peak of the rounds"

    def allreduce(self) -> tuple[float, int]:
        """There is one device."""
        raise NotImplementedError


def _tf32_of(settings: Any) -> tuple[bool, bool]:
    """Whether matrix products and convolutions use TF32, by the settings `torch.backends`.

    Torch 2.9 renamed them. Reading the old names may fail once the new ones were set.
    """
    products, convolutions = settings.cuda.matmul, settings.cudnn
    if hasattr(products, "fp32_precision"):
        return products.fp32_precision == "tf32", convolutions.conv.fp32_precision == "tf32"
    return products.allow_tf32, convolutions.allow_tf32


class Torch(Backend):
    """Torch: Keras runs the step eagerly unless a case asks for jit."""

    name = "torch"
    trainer = TorchTrainer
    gpu_build = "pip install --force-reinstall torch"  # PyPI's build for Linux is that for GPUs
    # Inductor would start processes that compile, up to 32, which outlive a worker for minutes.
    defaults: ClassVar = {"TORCHINDUCTOR_COMPILE_THREADS": "1"}
    out_of_memory = ("OutOfMemoryError", "CUDA out of memory", "can't allocate memory")

    def undistributed(self, hosts: int = 1) -> str:
        """Keras trains on one device."""
        return "Keras does not distribute over devices with Torch"

    def device_environment(self, device: str) -> dict[str, str]:
        """Without it Keras would start CUDA when it imports Torch, before the fork."""
        return {"KERAS_TORCH_DEVICE": "cpu" if device == "cpu" else "cuda"}

    def preload(self) -> None:
        """CUDA and the thread pools start in the child."""
        import keras
        import torch

        _ = (keras.Model, keras.layers, keras.optimizers, torch.Tensor)  # load lazy parts now

    def configure(self, case: Case) -> None:
        """Set threads, before the first parallel operation."""
        import torch

        torch.set_num_threads(case.threads)
        if not case.setting("inter_op"):  # it can be set only once
            torch.set_num_interop_threads(case.threads)

    def distributed(self, case: Case) -> contextlib.AbstractContextManager[Any]:
        """There is one device."""
        return contextlib.nullcontext()

    def gpus(self) -> list[str]:
        """Names of the GPUs, as the driver has them."""
        import torch

        return [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]

    def kernels(self) -> list[str]:
        """Torch tells them only where it sees a GPU."""
        import torch

        return list(torch.cuda.get_arch_list())
