"""What a user's file sets of the process that trains it: threads, devices, seeds (worker's side).

A case says how many threads and which device train it, so such a call is not made. A seed is set
as the file says. Variables of the environment come too late, since the framework is loaded before
the file.
"""

import contextlib
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import Any

# Functions by module; those that the case decides are not called.
_DECIDED = {
    "tensorflow": (
        "config.threading.set_intra_op_parallelism_threads",
        "config.threading.set_inter_op_parallelism_threads",
        "config.set_visible_devices",
        "config.set_logical_device_configuration",
        "config.experimental.set_memory_growth",
        "config.experimental.set_visible_devices",
        "config.experimental.set_virtual_device_configuration",
    ),
    "torch": ("set_num_threads", "set_num_interop_threads"),
    "keras": ("config.set_backend",),
}
_SEEDS = {
    "keras": ("utils.set_random_seed",),
    "tensorflow": ("random.set_seed",),
    "torch": ("manual_seed",),
    "numpy": ("random.seed",),
    "random": ("seed",),
}
_VARIABLES = (
    "KERAS_BACKEND",
    "TF_USE_LEGACY_KERAS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "TF_ENABLE_ONEDNN_OPTS",
    "TF_FORCE_GPU_ALLOW_GROWTH",
    "TF_DETERMINISTIC_OPS",
    "XLA_FLAGS",
    "CUDA_VISIBLE_DEVICES",
)
_LONGEST = 60  # characters of the arguments of a call
LEGACY = "TF_USE_LEGACY_KERAS"


@contextlib.contextmanager
def noted() -> Iterator[list[str]]:
    """Note what the user's code sets while the body runs, and what became of it.

    Yields:
        The list that is filled: one text per setting.
    """
    found: dict[str, None] = {}
    replaced: list[tuple[Any, str, Any]] = []
    before = {name: os.environ.get(name) for name in _VARIABLES}
    for functions, effect in ((_DECIDED, "not done, the case decides it"), (_SEEDS, "done")):
        for module, paths in functions.items():
            for path in paths:
                owner_path, _, name = path.rpartition(".")
                with contextlib.suppress(AttributeError, KeyError):
                    owner = sys.modules[module]
                    owner = attrgetter(owner_path)(owner) if owner_path else owner
                    real = getattr(owner, name)
                    done = functions is _SEEDS
                    replaced.append((owner, name, real))
                    setattr(owner, name, _noting(found, name, effect, real if done else None))
    texts: list[str] = []
    try:
        yield texts
    finally:
        for owner, name, real in reversed(replaced):
            setattr(owner, name, real)
        for name, value in before.items():
            if (now := os.environ.get(name)) != value and now is not None:
                found[f"{name}={now} (too late, set it in the shell)"] = None
        texts += found


def _noting(
    found: dict[str, None], name: str, effect: str, real: Callable[..., Any] | None
) -> Callable[..., Any]:
    def noting(*arguments: Any, **named: Any) -> Any:
        caller = traceback.extract_stack(limit=2)[0].filename
        if "-packages" in caller:  # a library, not the user's file
            return None if real is None else real(*arguments, **named)
        given = [*map(repr, arguments), *(f"{key}={value!r}" for key, value in named.items())]
        text = ", ".join(given)
        text = text if len(text) <= _LONGEST else "…"
        found[f"{name}({text}) ({effect})"] = None
        return None if real is None else real(*arguments, **named)

    return noting
