"""Measure models without a suite: `harness run`."""

from collections.abc import Sequence

from harness.errors import BadCase
from harness.records import Failure
from harness.workbench import Workbench
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
    variants = list(dict.fromkeys(variants))
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
