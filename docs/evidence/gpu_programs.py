"""Do the kernels of a step that XLA compiles for a GPU find their layers? No GPU is needed.

    pip install 'jax[cuda12]'
    python docs/evidence/gpu_programs.py [MODEL ...]

JAX compiles the training step of each model ahead of time for an H100 that is not there, from the
figures that NVIDIA publishes for it. Without the GPU, XLA tries no kernels and takes its own first
choice. What the compiled program would launch is counted by the part of the step that the rules of
`harness profile` find. Matrix products and convolutions, known by their names, belong to layers:
any in the optimizer or in no part are mistaken.
"""

import argparse
import multiprocessing
import os
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from unittest import mock

MODELS = (
    "baseline",
    "improved",
    "docs/examples/transformer.py:build",
    "keras.applications:MobileNetV3Small",
    "keras.applications:ResNet50",
)
H100 = {
    "threads_per_block_limit": 1024,
    "threads_per_warp": 32,
    "shared_memory_per_block": 48 * 2**10,
    "shared_memory_per_core": 228 * 2**10,
    "shared_memory_per_block_optin": 227 * 2**10,
    "threads_per_core_limit": 2048,
    "registers_per_core_limit": 2**16,
    "registers_per_block_limit": 2**16,
    "core_count": 132,
    "fpus_per_core": 128,
    "block_dim_limit_x": 2**31 - 1,
    "block_dim_limit_y": 2**16 - 1,
    "block_dim_limit_z": 2**16 - 1,
    "memory_bandwidth": 3352 * 10**9,
    "l2_cache_size": 50 * 2**20,
    "clock_rate_ghz": 1.98,
    "device_memory_size": 80 * 2**30,
}
# Instructions that launch nothing, or only what they call.
_NO_LAUNCH = ("parameter", "constant", "tuple", "get-tuple-element", "bitcast")
_OUTER = ("while", "call", "conditional")


def target() -> str:
    """The description of the GPU, as XLA takes it."""
    figures = " ".join(f"{name}: {value}" for name, value in H100.items())
    device = f"gpu_device_info {{ {figures} cuda_compute_capability {{ major: 9 }} }}"
    versions = "dnn_version_info { major: 9 minor: 7 } runtime_version { major: 12 minor: 8 }"
    return f'{device} platform_name: "CUDA" {versions} device_description_str: "NVIDIA H100"'


def compiled(model: str, batch_size: int):
    """The program of a model's step for the GPU, and the layers of its variables."""
    import jax
    from jax.experimental import topologies

    from harness.records import Case, to_json
    from harness.worker.commands import Commands
    from harness.worker.profile import layers

    case = Case(model, "fitted", batch_size, backend="jax", jit=True)
    worker = Commands(mock.Mock())
    worker.open(to_json(case), [0], profiled=True)
    trainer, scopes = worker._trainer, worker._profiler._scopes
    trainer.reset()
    topology = topologies.get_topology_desc(
        platform="cuda", target_config=target(), topology="1x1x1"
    )
    mesh = topologies.make_mesh(topology, (1,), ("device",))
    there = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    given = jax.tree.map(
        lambda value: jax.ShapeDtypeStruct(value.shape, value.dtype, sharding=there),
        (trainer._state, next(trainer._iterator)),
    )
    step = jax.jit(trainer.model.train_step, donate_argnums=0).lower(*given).compile()
    (program,) = step.runtime_executable().hlo_modules()
    module = program.as_serialized_hlo_module_proto()
    return _field_1(module), layers.variable_rows(trainer.model, scopes)


def _field_1(message: bytes) -> bytes:
    """A message of protocol buffers as the first field of another one: an HloProto."""
    size, length = [], len(message)
    while length > 0x7F:
        size.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes([1 << 3 | 2, *size, length]) + message


def launched(program: bytes, variables):
    """The kind of each instruction that launches something, and the part of the step it is for."""
    from harness.worker.profile import hlo

    computations = hlo.read(program)
    within = {
        number
        for its in computations.values()
        for one in its.values()
        if one.opcode not in _OUTER
        for number in one.called
    }
    rows = hlo.rows(program, variables)
    for number, its in computations.items():
        for one in its.values():
            if number not in within and one.opcode not in _NO_LAUNCH + _OUTER:
                row, _ = rows.get(one.name, hlo.UNKNOWN)
                product = one.opcode in ("dot", "convolution") or any(
                    word in one.name for word in ("gemm", "conv")
                )
                yield product, "layer" if row is not None and row.isdigit() else row or "none"


def counted(model: str, batch_size: int) -> Counter[tuple[bool, str]]:
    """Count what a model launches; in a process of its own, since layers are marked once."""
    return Counter(launched(*compiled(model, batch_size)))


def main() -> None:
    """Count, model by model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=MODELS)
    parser.add_argument("--batch-size", type=int, default=64)
    arguments = parser.parse_args()
    os.environ |= {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_gpu_autotune_level=0"
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, max_tasks_per_child=1) as pool:
        for model in arguments.models:
            found = pool.submit(counted, model, arguments.batch_size).result()
            parts = Counter[str]()
            for (_, part), number in found.items():
                parts[part] += number
            told = ", ".join(f"{part} {number}" for part, number in sorted(parts.items()))
            mistaken = found[True, "optimizer"] + found[True, "none"]
            print(f"{model}: {found.total()} launched: {told}; products elsewhere: {mistaken}")


if __name__ == "__main__":
    main()
