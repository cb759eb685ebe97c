"""What Python imports when it starts, so that Torch's workers call the CPU a GPU."""

PRETEND = """
import os

from harness.worker.backends.torch import Torch, TorchTrainer

if "KERAS_TORCH_DEVICE" in os.environ:
    os.environ["KERAS_TORCH_DEVICE"] = "cpu"
if os.environ.get("CUDA_VISIBLE_DEVICES") == "{uuid}":
    if "PRETEND_EVENTS" in os.environ and os.environ.get("KERAS_BACKEND") == "torch":
        import torch_events
    Torch.gpus = lambda self: ["Pretended GPU"]
    TorchTrainer.device_name = lambda self: "Pretended GPU"
    TorchTrainer.float32_math = lambda self: "TF32"
    TorchTrainer.sync = lambda self: None
    TorchTrainer.reset_peak_memory = lambda self: None
    TorchTrainer.peak_memory = lambda self: (512 * 2**20, "allocator peak of the rounds")
"""
