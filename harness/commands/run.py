"""Measure models without a suite: `harness run` and `harness tune`."""

from collections.abc import Sequence

from harness.commands.options import Settings
from harness.commands.session import Workbench
from harness.commands.tune import Tuner
from harness.errors import BadCase
from harness.measure.machine.gpu import AnyGpu
from harness.records import Failure
from harness.workloads import levers, registry
from harness.workloads.matrix import comparisons, reference_size


def run(workbench: Workbench, variants: Sequence[str]) -> bool:
    """Measure each model's batch sizes, each model against the first, each device.

    Args:
        workbench: Of this run; without batch sizes in its settings they are searched.
        variants: What is trained.

    Returns:
        Whether everything was measured.

    Raises:
        HarnessError: something cannot be trained as asked.
    """
    settings = workbench.settings
    for variant in variants:
        registry.check(variant)
    workbench.check()
    for device in settings.devices:
        if reason := workbench.unavailable(settings.backend, device):
            raise BadCase(f"--devices: {reason}")
    pairs = [(variant, device) for device in settings.devices for variant in variants]
    sizes: dict[tuple[str, str], Sequence[int]] = {}
    references: dict[tuple[str, str], int] = {}
    complete = True
    for variant, device in pairs:
        if settings.batch_sizes:
            sizes[variant, device] = settings.batch_sizes
            references[variant, device] = reference_size(settings.batch_sizes)
        else:
            found = workbench.search(variant=variant, device=device)
            complete = complete and bool(found.chosen)
            sizes[variant, device] = sorted(found.chosen)
            if found.chosen:  # the fastest comes first
                references[variant, device] = found.chosen[0]
    wanted = comparisons(variants, settings.devices, sizes, references)
    workbench.expect(len(wanted))
    made = [
        (workbench.case(**fields), workbench.case(**{**fields, **differs}))
        for fields, differs in wanted
    ]
    for case, reference in made:
        complete &= not isinstance(workbench.measure(case, reference), Failure)
    return complete


_STACKED = 4  # comparisons on the way to a stack, about


def tune(workbench: Workbench, variant: str) -> bool:
    """Try every lever on a model, and find the best stack of them.

    Args:
        workbench: Of this run, with one batch size in its settings.
        variant: What is trained.

    Returns:
        Whether the model can be trained and its stack was measured; a lever that fails is a
        result.

    Raises:
        HarnessError: it cannot be trained as asked.
    """
    settings = workbench.settings
    registry.check(variant)
    workbench.check([(variant, settings.batch_sizes[0])])
    device = settings.devices[0]
    if reason := workbench.unavailable(settings.backend, device):
        raise BadCase(f"--devices: {reason}")
    plain = workbench.case(variant=variant, device=device)
    if workbench.untrainable(plain):
        return not isinstance(workbench.measure(plain, plain), Failure)
    wanted = settings.levers or levers.tried(settings.backend)
    possible = [w for w in wanted if not workbench.lever_unavailable(w, plain.backend, device)]
    workbench.expect(len(possible) + _STACKED)
    tuner = Tuner(workbench, plain)
    for lever in possible:
        tuner.alone(lever)
    return not isinstance(tuner.stack(_STACKED), Failure)


def follow(settings: Settings, gpu: AnyGpu) -> int:
    """Serve the first host of a job until it lets go; this one is another.

    Returns:
        How many workers it asked for.

    Raises:
        HarnessError: the first host is late, does not take this one, or is lost in mid-run.
    """
    from harness.measure.hosts.follow import follow
    from harness.measure.hosts.group import about
    from harness.measure.launcher import Launcher

    assert settings.hosts is not None  # noqa: S101  (else there is nobody to follow)
    with Launcher(cuda_device=gpu.cuda_device) as launcher:
        return follow(settings.hosts, about(), launcher, settings.protocol.timeout_seconds)
