"""Every lever: a setting that may make training faster, how it is set and pasted.

The declaration of a lever stands here because the worker and the report both read it: the worker
executes the very line that the report prints to paste.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.records.case import Case

Variables = Mapping[str, str]
_ALL = ("tensorflow", "jax", "torch")
_SWITCH = ("on", "off")
_FEEDS = ("device", "pydataset")  # of every backend
# What is tried on a user's pipeline, by its kind; arrays show what the whole pipeline costs.
PIPELINE_FEEDS = {
    "tf.data": ("arrays", "prefetch", "cache", "parallel"),
    "PyDataset": ("arrays", "workers"),
    "DataLoader": ("arrays", "workers"),
    "generator": ("arrays",),
}
OF_PIPELINES = ("prefetch", "cache", "parallel", "workers")


@dataclass(frozen=True, slots=True)
class Lever:
    """A setting other than model and batch size, written `name=setting`."""

    name: str
    text: str  # what it is
    tried: Mapping[str, Sequence[str]]  # by backend; none where a backend lacks the lever
    known: tuple[str, ...] = ()  # all settings; empty if there is no such list
    field: str | None = None  # of `Case` that holds the setting; None if `Case.levers` does
    only: str = ""  # the one device that has it
    absent: Mapping[str, str] = dataclasses.field(default_factory=dict)  # why a backend lacks it
    asked: bool = False  # tried only on request
    changes: bool = False  # meant to change what is learned; then it is never combined
    # By backend, the statement for a setting. A worker executes it before it builds the model,
    # and the report prints it.
    line: Mapping[str, Callable[[Any], str]] = dataclasses.field(default_factory=dict)
    printed: Callable[[Any], str] | None = None  # instead: a worker does the same in another way
    argument: str = ""  # of `Model.compile`, an attribute of the compiled model
    # By setting, the expression that `fit` trains on: of `x`, `y` and a batch size, or of
    # `batches`.
    batches: Mapping[str, str] = dataclasses.field(default_factory=dict)
    # By backend and setting, variables that are set before Python starts.
    environment: Mapping[str, Mapping[str, Variables]] = dataclasses.field(default_factory=dict)
    # By setting, a library to preload: its Debian package, then its names.
    libraries: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

    def setting(self, case: Case) -> Any:
        """The setting of a case; None where it is left alone."""
        return case.setting(self.name) if self.field is None else getattr(case, self.field)

    def statement(self, case: Case) -> str | None:
        """The statement that a worker executes for a case."""
        setting, line = self.setting(case), self.line.get(case.backend)
        return None if setting is None or line is None else line(setting)


def _switch(statement: str) -> Callable[[str], str]:
    """Write True into a statement for `on`, else False."""
    return lambda setting: statement.format(setting == "on")


_JAX_TF32 = {"on": "tensorfloat32", "off": "highest"}
_ONEDNN = {"on": {"TF_ENABLE_ONEDNN_OPTS": "1"}, "off": {"TF_ENABLE_ONEDNN_OPTS": "0"}}
_KEEP = str(2**40)  # bytes: nothing is ever given back
_GLIBC = {
    # mallopt(3): no block is mapped on its own, and the end of the heap is not given back.
    "keep": {"MALLOC_MMAP_THRESHOLD_": _KEEP, "MALLOC_TRIM_THRESHOLD_": _KEEP},
    "hugepages": {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"},
}

LEVERS = (
    Lever(
        "jit",
        "the step compiled: by XLA, with Torch by Inductor",
        {"tensorflow": ("on",), "jax": ("off",), "torch": ("on",)},
        _SWITCH,
        field="jit",
        argument="jit_compile",
    ),
    Lever(
        "precision",
        "Keras's dtype policy",
        dict.fromkeys(_ALL, ("mixed_bfloat16", "mixed_float16")),
        field="precision",
        line=dict.fromkeys(_ALL, 'keras.config.set_dtype_policy("{}")'.format),
    ),
    Lever(
        "tf32",
        "whether float32 may be multiplied as TF32",
        {"tensorflow": ("off",), "jax": ("off",), "torch": ("on", "off")},
        _SWITCH,
        only="gpu",
        line={
            "tensorflow": _switch(
                "tensorflow.config.experimental.enable_tensor_float_32_execution({})"
            ),
            "jax": lambda s: f'jax.config.update("jax_default_matmul_precision", "{_JAX_TF32[s]}")',
            "torch": _switch(
                "torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = {}"
            ),
        },
    ),
    Lever(
        "steps_per_execution",
        "steps per call of the train function",
        {"tensorflow": ("4", "8"), "jax": ("4", "8")},
        absent={"torch": "with Torch Keras makes one step per call"},
        argument="steps_per_execution",
    ),
    Lever(
        "threads",
        "CPU threads",
        dict.fromkeys(_ALL, ("half",)),
        field="threads",
        only="cpu",
        # Affinity binds the threads of every library; a worker gets its CPUs from the parent.
        printed="os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:{}])".format,
    ),
    Lever(
        "inter_op",
        "threads that run operations side by side",
        {"tensorflow": ("1",), "torch": ("1",)},
        only="cpu",
        absent={"jax": "XLA has one pool of threads"},
        line={
            "tensorflow": "tensorflow.config.threading.set_inter_op_parallelism_threads({})".format,
            "torch": "torch.set_num_interop_threads({})".format,
        },
    ),
    Lever(
        "onednn",
        "Intel's kernels for CPUs",
        {"tensorflow": ("off",), "torch": ("off",)},
        _SWITCH,
        only="cpu",
        absent={"jax": "XLA's kernels for CPUs are its own"},
        line={"torch": _switch("torch.backends.mkldnn.set_flags({})")},
        environment={"tensorflow": _ONEDNN},
    ),
    Lever(
        "malloc",
        "the allocator of host memory: glibc's keeping what is freed, with huge pages, or another",
        dict.fromkeys(_ALL, ("keep", "hugepages", "tcmalloc", "jemalloc")),
        ("keep", "hugepages", "tcmalloc", "jemalloc"),
        only="cpu",
        environment=dict.fromkeys(_ALL, _GLIBC),
        libraries={
            "tcmalloc": ("libtcmalloc-minimal4", "tcmalloc_minimal", "tcmalloc"),
            "jemalloc": ("libjemalloc2", "jemalloc"),
        },
    ),
    Lever(
        "gpu_malloc",
        "the framework's allocator of GPU memory",
        {"tensorflow": ("async",), "jax": ("preallocate",), "torch": ("expandable",)},
        ("async", "preallocate", "expandable"),
        only="gpu",
        environment={
            "tensorflow": {"async": {"TF_GPU_ALLOCATOR": "cuda_malloc_async"}},
            "jax": {"preallocate": {"XLA_PYTHON_CLIENT_PREALLOCATE": "true"}},
            "torch": {"expandable": {"PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True"}},
        },
    ),
    Lever(
        "feed",
        "how fit gets its batches: arrays; tf.data from slices; batched, cached and prefetched; "
        "resident on the device; a PyDataset; a pipeline of yours prefetched, cached, with "
        "parallel maps or with workers",
        {"tensorflow": ("slices", "cached", *_FEEDS), "jax": _FEEDS, "torch": _FEEDS},
        ("arrays", "slices", "cached", *_FEEDS, *OF_PIPELINES),
        batches={
            "slices": "tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x)).batch({size})"
            ".prefetch(tf.data.AUTOTUNE)",
            "cached": "tf.data.Dataset.from_tensor_slices((x, y)).batch({size}).cache()"
            ".shuffle(-(-len(x) // {size})).prefetch(tf.data.AUTOTUNE)",
            "device": "...  # batches that are tensors on the device already",
            "pydataset": "...  # a keras.utils.PyDataset that returns whole batches",
            "prefetch": "batches.prefetch(tf.data.AUTOTUNE)",
            "cache": "batches.cache()  # where all of it fits into memory",
            "parallel": "....map(..., num_parallel_calls=tf.data.AUTOTUNE)",
            "workers": "...  # workers= of a PyDataset, num_workers= of a DataLoader",
        },
    ),
    Lever(
        "optimizer",
        "another optimizer",
        dict.fromkeys(_ALL, ("sgd", "adam")),
        field="optimizer",
        changes=True,
    ),
    Lever("variant", "another variant of the same", {}, field="variant", asked=True),
    Lever("env:NAME", "an environment variable of the worker's process", {}, asked=True),
)
FEED = next(lever for lever in LEVERS if lever.name == "feed")
