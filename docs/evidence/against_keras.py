"""Do the harness's times agree with those of plain Keras, on any backend, whole epochs too?

What `harness validate --only keras` does, with a choice of model, backend and blocks. Run as
`python docs/evidence/against_keras.py`.
"""

import argparse

from harness.commands.validate import against_keras
from harness.measure.machine.facts import usable_cpus
from harness.measure.workers.launcher import Launcher
from harness.records import Case
from harness.worker import backends
from harness.workloads import datasets


def main() -> None:
    """Measure blocks and print each ratio with its interval."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variant", default="baseline")
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--backend", default="tensorflow", choices=backends.NAMES)
    parser.add_argument("--blocks", type=int, default=8)
    parser.add_argument("--no-whole", action="store_true", help="leave whole epochs out")
    arguments = parser.parse_args()
    dataset = datasets.resolve("auto")
    case = Case(
        arguments.variant,
        dataset,
        arguments.batch_size,
        backend=arguments.backend,
        threads=len(usable_cpus()),
        jit=backends.find(arguments.backend).jit_by_default,
    )
    samples = 0 if arguments.no_whole else datasets.train_size(dataset)
    with Launcher() as launcher:
        found = against_keras.blocks(launcher, case, arguments.blocks, samples)
    print(f"{case.id}, {len(found)} blocks of fresh processes:")
    for check in against_keras.judged(found):
        print(f"  {check.subject}: {check.found}")


if __name__ == "__main__":
    main()
