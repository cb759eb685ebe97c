"""Wait until a hot GPU has cooled down."""

from collections.abc import Callable

from harness.measure.machine.gpu import THERMAL, AnyGpu

_POLL_SECONDS = 1.0


def cool_down(
    gpu: AnyGpu,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
    limit_seconds: float,
) -> float:
    """Wait until NVML reports no thermal reason for a lower clock, or the limit has passed.

    Returns:
        Seconds waited; 0.0 if the GPU is cool or does not report it.
    """
    begin, waited = clock(), 0.0
    while waited < limit_seconds and (gpu.read().throttle_reasons or 0) & THERMAL:
        sleep(_POLL_SECONDS)
        waited = clock() - begin
    return waited
