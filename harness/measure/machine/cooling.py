"""Start the workers of a block at about the same temperature of the GPU."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from harness.measure.machine.gpu import AnyGpu

_POLL_SECONDS = 1.0
_MARGIN_KELVIN = 3.0


@dataclass
class Cooling:
    """Waits until a GPU is about as cool as it was before the first worker.

    NVML's reasons for a lowered clock say nothing of an idle GPU, however hot it is.

    Args:
        clock: Gives monotonic seconds.
        sleep: Waits for so many seconds.
    """

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _first: float | None = field(default=None, init=False)  # degrees Celsius

    def wait(self, gpu: AnyGpu, limit_seconds: float) -> float:
        """Return the seconds waited, not more than the limit by much; 0.0 without a thermometer."""
        begin, waited = self.clock(), 0.0
        now = gpu.read().temperature_celsius
        if self._first is None:
            self._first = now
        while (
            now is not None
            and self._first is not None
            and now > self._first + _MARGIN_KELVIN
            and waited < limit_seconds
        ):
            self.sleep(_POLL_SECONDS)
            now, waited = gpu.read().temperature_celsius, self.clock() - begin
        return waited
