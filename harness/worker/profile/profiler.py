"""Trace some steps of a trainer, and divide their time among the layers of its model."""

import tempfile
import time
from pathlib import Path
from typing import Any

from harness.records import Case, to_json
from harness.worker.profile import chrome, layers, timeline, tracers
from harness.worker.profile.scopes import Scopes
from harness.worker.user_errors import Rejected

_NO_KERNELS = (
    "the framework's profiler recorded nothing on the GPU: its library CUPTI is missing, or "
    "LD_LIBRARY_PATH leads to the CUPTI of another CUDA, or this user may not trace"
)
_FEWEST_CALLS, _MOST_STEPS, _SECONDS = 3, 20, 3.0


class Profiler:
    """Made before the framework looks for devices, and before the model is built."""

    def __init__(self, case: Case) -> None:
        self._tracer = tracers.find(case.backend, on_gpu=case.device == "gpu")
        self._tracer.prepare()
        self._scopes = Scopes(self._tracer.scope)
        self._scopes.mark_layers()
        self._steps = 1  # whose calls were counted
        self._traces_before = 0

    def begin_step(self, trainer: Any) -> None:
        """Mark the parts of the step besides the layers; calls are counted from now on."""
        self._scopes.mark_step(trainer.model)
        self._scopes.count(on=True)
        self._traces_before = trainer.traces

    def end_step(self, trainer: Any) -> None:
        """Stop counting calls, after the first execution."""
        self._scopes.count(on=False)
        # What is traced runs only then in Python; without traces each step does.
        self._steps = (trainer.traces - self._traces_before) or trainer.stride

    def profile(self, trainer: Any, step_seconds: float, path: Path | None) -> dict[str, Any]:
        """Trace some twenty steps, less of slow ones.

        Args:
            trainer: Its rounds are over.
            step_seconds: How long a step takes.
            path: Of the trace, to look at.

        Returns:
            The fields of `Traced`, and the layers.

        Raises:
            Rejected: no kernel of a GPU is in the trace.
        """
        stride = trainer.stride
        wanted = min(_MOST_STEPS, round(_SECONDS / step_seconds))
        calls = max(_FEWEST_CALLS, -(-wanted // stride))
        steps = calls * stride
        trainer.reset()
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            with self._tracer.tracing(folder):
                begin = time.perf_counter()
                trainer.run(steps)
                seconds = time.perf_counter() - begin
            variables = layers.variable_rows(trainer.model, self._scopes)
            events = [*self._tracer.events(folder, variables)]
        if self._tracer.on_gpu and not events:
            raise Rejected("unsupported", _NO_KERNELS)
        trainer.weights_digest()  # JAX then gives the variables back to the model, to be called
        found = layers.facts(trainer.model, self._scopes, self._steps, trainer.data.part(1)[0])
        if path is not None:
            chrome.write(path, events, {str(n): one.path for n, one in enumerate(found)})
        divide = timeline.divide_streams if self._tracer.on_gpu else timeline.divide
        spent = [
            {
                "row": row,
                "backward": backward,
                "operation": operation,
                "seconds": its.seconds / steps,
                "count": its.count / steps,
            }
            for (row, backward, operation), its in divide(events).items()
        ]
        return {
            "steps": steps,
            "traced_seconds": seconds / steps,
            "spent": sorted(spent, key=lambda one: -one["seconds"]),
            "layers": to_json(found),
        }
