"""Launchers that change the measured times by a known amount: more steps, a busy machine."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from harness.commands.validate.truths import Trial
from harness.measure.side import AnyLauncher, AnyWorker
from harness.records import Block, Case
from harness.worker.channel import Command

_SPINNING = """
import sys
from harness.worker.processes import die_with_parent
die_with_parent(int(sys.argv[1]))
while True:
    pass
"""


class SlowedWorker:
    """A real worker that reports S steps per round and runs S · (1 + slowdown)."""

    def __init__(self, worker: AnyWorker, slowdown: float) -> None:
        self.worker = worker
        self.pid = worker.pid
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
        self._keys = {case: t.key for t in trials for case in (t.case, t.reference)}
        self._workers = Counter({key: 2 * len(blocks) for key, blocks in begun.items()})
        self._competitor: subprocess.Popen[bytes] | None = None

    def start(self, case: Case, timeout: float) -> SlowedWorker:
        """Start a worker; the first of a block also starts or ends the busy process."""
        key = self._keys[case]
        block, second = divmod(self._workers[key], 2)
        self._workers[key] += 1
        if not second:
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
