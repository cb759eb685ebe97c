"""Comparisons that try the method: their true ratio is known, since workers are slowed by it."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.measure.side import AnyLauncher, AnyWorker
from harness.records import Block, Case, Protocol, comparison_key
from harness.records import protocol as protocols
from harness.worker.backends import BACKENDS
from harness.worker.channel import Command

USUAL = ("baseline", 256)  # variant and batch size
SHORT = ("quarter_width", 16)  # its steps are short: a hundred fit into a quarter second
CLAIMED_STEPS = 100  # per round: 2, 5, 10 and 25 % of it are whole numbers

_CHANGED_LAYERS = 6  # per model, about
_TOGETHER = 12  # comparisons of a group, about as many as those of a suite
_SPINNING = """
import sys
from harness.worker.processes import die_with_parent
die_with_parent(int(sys.argv[1]))
while True:
    pass
"""
_BRIEF = Protocol(
    "brief",
    blocks=4,
    block_seconds=2.0,
    round_seconds=0.2,
    fit_seconds=0.2,
    warm_up_seconds=0.5,
    min_pairs=2,
)


@dataclass(frozen=True, slots=True)
class Trial:
    """A comparison with known truth."""

    case: Case  # differs from the reference in the seed only, so that the names differ
    reference: Case
    slowdown: float = 0.0  # share of additional steps that the case runs unreported

    @property
    def key(self) -> str:
        """Which comparison this is."""
        return comparison_key(self.case, self.reference)

    @property
    def truth(self) -> float:
        """The true speedup."""
        return 1 / (1 + self.slowdown)


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is tried.

    Attributes:
        trials: By part, how many comparisons with a case that is slower by a known share.
        readings: Number of workers per known load.
        blocks: Of the other ratios: harness against Keras, with and without sampler.
        simulated: Number of comparisons whose blocks come from a random generator.
        changed: Models whose layers get copies one by one, on each backend.
    """

    protocol: Protocol
    trials: Mapping[str, Mapping[float, int]]
    readings: int
    blocks: int
    simulated: int
    changed: Sequence[str]

    def comparisons(self, parts: Collection[str], backends: Collection[str]) -> int:
        """Return the number of comparisons that these parts measure, those of layers about."""
        slowed = sum(sum(self.trials[part].values()) for part in self.trials if part in parts)
        changed = _CHANGED_LAYERS * len(self.changed) * len(backends)
        return slowed + changed * ("layers" in parts)


def installed() -> list[str]:
    """Return the backends that can be imported."""
    return [one.name for one in BACKENDS if one.missing() is None]


EFFORTS = {
    "quick": Effort(
        protocol=_BRIEF,
        trials={"noise": {0.0: 4}, "slowdowns": {0.05: 1, 0.10: 1, 0.25: 1}, "disturbed": {0.0: 1}},
        readings=2,
        blocks=3,
        simulated=4000,
        changed=("baseline",),
    ),
    "thorough": Effort(
        protocol=protocols.EFFORTS["default"],
        trials={
            "noise": {0.0: 60},
            "slowdowns": {0.02: 8, 0.05: 15, 0.10: 15, 0.25: 4},
            "disturbed": {0.0: 10, 0.10: 5},
        },
        readings=5,
        blocks=12,
        simulated=20_000,
        changed=("baseline", "improved"),
    ),
}


def slowed(case: Case, counts: Mapping[float, int]) -> list[Trial]:
    """Return comparisons of a case with itself, slower by a known share, by number per share.

    Its two sides have different names, and a group of comparisons has one reference. The shares
    alternate, so that drift of the machine affects all of them.
    """
    most = max(counts.values(), default=0)
    shares = [share for turn in range(most) for share in counts if turn < counts[share]]
    trials = []
    for number, share in enumerate(shares):
        group, member = divmod(number, _TOGETHER)
        reference = replace(case, seed=group * (_TOGETHER + 1))
        trials.append(Trial(replace(case, seed=reference.seed + 1 + member), reference, share))
    return trials


class SlowedWorker:
    """A real worker that reports S steps per round and runs S · (1 + slowdown)."""

    def __init__(self, worker: AnyWorker, slowdown: float) -> None:
        self.worker = worker
        self.pid = worker.pid
        self.spawned_instead = worker.spawned_instead
        self._slowdown = slowdown

    def ask(self, command: Command, **arguments: Any) -> dict[str, Any]:
        """Send a command; a round runs more steps than its answer says."""
        if command != "round":
            return self.worker.ask(command, **arguments)
        claimed = arguments["steps"]
        answer = self.worker.ask("round", steps=round(claimed * (1 + self._slowdown)))
        return {**answer, "steps": claimed}


class SlowedLauncher:
    """Starts the workers of trials, of which some are slowed."""

    def __init__(self, launcher: AnyLauncher, trials: Sequence[Trial]) -> None:
        self._launcher = launcher
        self._slowdowns = {trial.case: trial.slowdown for trial in trials}

    def prepare(self, case: Case, *, wait: bool) -> None:
        """Import the framework of a case."""
        self._launcher.prepare(case, wait=wait)

    def start(self, case: Case, timeout: float) -> SlowedWorker:
        """Start one fresh worker for a case."""
        return SlowedWorker(self._launcher.start(case, timeout), self._slowdowns.get(case, 0.0))

    def end(self, worker: SlowedWorker) -> None:
        """End a worker."""
        self._launcher.end(worker.worker)


class DisturbedLauncher(SlowedLauncher):
    """Runs a busy process during every third block, from the start of its first worker.

    `begun` are the blocks measured before, by the key of a trial.
    """

    def __init__(
        self, launcher: AnyLauncher, trials: Sequence[Trial], begun: Mapping[str, Sequence[Block]]
    ) -> None:
        super().__init__(launcher, trials)
        self._groups = {one: t.reference for t in trials for one in (t.case, t.reference)}
        references = self._groups.values()  # of each case, and of itself
        self._sizes = Counter([*references, *dict.fromkeys(references)])  # a block has two of it
        done = {trial.reference: len(begun.get(trial.key, ())) for trial in trials}
        self._workers = Counter({c: blocks * self._sizes[c] for c, blocks in done.items()})
        self._competitor: subprocess.Popen[bytes] | None = None

    def start(self, case: Case, timeout: float) -> SlowedWorker:
        """Start a worker; the first of a block also starts or ends the busy process."""
        group = self._groups[case]
        block, later = divmod(self._workers[group], self._sizes[group])
        self._workers[group] += 1
        if not later:
            self.close()
            if is_disturbed(block):
                self._competitor = subprocess.Popen(
                    [sys.executable, "-c", _SPINNING, str(os.getpid())],
                    start_new_session=True,  # so that Ctrl-C reaches the parent only
                )
        return super().start(case, timeout)

    def close(self) -> None:
        """End the busy process."""
        if self._competitor is not None:
            self._competitor.kill()
            self._competitor.wait()
            self._competitor = None


def is_disturbed(block: int) -> bool:
    """Whether the busy process runs during that block."""
    return block % 3 == 1
