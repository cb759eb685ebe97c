"""Which comparison belongs to which table."""

import dataclasses
import functools
import itertools
from typing import Literal

from harness.analyze import cautions
from harness.analyze.cautions import Caution
from harness.analyze.moderation import Speedups
from harness.records import Case, Measurement, Run, comparison_key

AXES = ("batch_size", "variant", "device", "backend", "threads")


class Roles:
    """The comparisons of a run, told apart by what they are for."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.measured = [o for o in run.outcomes if isinstance(o, Measurement)]

    def compared(self, axis: str) -> list[Measurement]:
        """List the measurements that differ from their reference in that axis alone.

        A reference against itself is among them when another measurement has the same
        reference: that row shows the noise floor. A change of a ladder is among them, unless
        it leads to or from an unnamed model between the ends.
        """
        differing = [
            m
            for m in self.measured
            if differs_only_in(axis, m.case, m.reference)
            and m.key not in self.tuning_keys
            and self.auxiliary.isdisjoint((m.case, m.reference))
        ]
        itself = {m.reference for m in self.measured if m.case == m.reference}
        own = [m for m in differing if m.key not in self.rung_keys or m.reference in itself]
        references = {m.reference for m in own}
        chosen = [m for m in differing if m.reference in references]
        floors = [m for m in self.measured if m.case == m.reference and m.case in references]
        return chosen + floors

    @functools.cached_property
    def auxiliary(self) -> set[Case]:
        """Cases that exist only for a table of their own: a ladder's, settings', scaling's.

        References of another version are such, too.

        Of a ladder they are the unnamed models between its ends: the baseline with changes,
        `baseline+adam+wide_kernel`. Of settings all but the unmodified case, of scaling all
        that train on several devices.
        """
        between = self._only_in(self.rung_keys)
        unnamed = {case for case in between if "+" in case.variant and ":" not in case.variant}
        with_settings = self._only_in(self.tuning_keys) - {t.plain for t in self._run.tunings}
        cases = (case for o in self._run.outcomes for case in (o.case, o.reference))
        alone = {case for case in cases if case.replicas > 1 or case.version}
        return unnamed | with_settings | alone

    def _only_in(self, keys: set[str]) -> set[Case]:
        """Return the cases of the comparisons with these keys that are in no other."""
        within: set[Case] = set()
        others: set[Case] = set()
        for o in self._run.outcomes:
            (within if o.key in keys else others).update((o.case, o.reference))
        return within - others

    @functools.cached_property
    def tuning_keys(self) -> set[str]:
        """Keys of the comparisons of settings, the best combination among them."""
        tunings = self._run.tunings
        best = {comparison_key(t.stacked, t.plain) for t in tunings if t.stacked}
        return best | {attempt.key for tuning in tunings for attempt in tuning.attempts}

    @functools.cached_property
    def rung_keys(self) -> set[str]:
        """Keys of the comparisons that make ladders, the direct ones of their ends among them."""
        ladders = [ladder.rungs for ladder in self._run.ladders]
        direct = {comparison_key(rungs[-1].case, rungs[0].reference) for rungs in ladders}
        return direct | {rung.key for rungs in ladders for rung in rungs}

    def others(self) -> list[Measurement]:
        """List the comparisons that differ in an axis without a table, or in several."""
        elsewhere = self.rung_keys | self.tuning_keys
        return [
            m
            for m in self.measured
            if m.case != m.reference
            and m.key not in elsewhere
            and not any(differs_only_in(axis, m.case, m.reference) for axis in AXES)
            and scaling_kind(m.case, m.reference) is None
            and m.case.version == m.reference.version
        ]

    def cautions(self, m: Measurement) -> list[Caution]:
        """List the cautions of a comparison, without what is meant to differ in it."""
        meant = {cautions.OPTIMIZER_DIFFERS} if m.key in self.rung_keys else set()
        if m.key in self.tuning_keys:
            meant = {cautions.OPTIMIZER_DIFFERS, cautions.JIT_DIFFERS}
        return [caution for caution in self.doubts(m) if caution.doubt not in meant]

    def doubts(self, m: Measurement) -> list[Caution]:
        """List all cautions of a comparison."""
        run = self._run
        found = cautions.of_machine(run.machine), cautions.of_measurement(m, run.protocol)
        return [*itertools.chain(*found), *self.noise_floor(m)]

    def noise_floor(self, m: Measurement) -> list[Caution]:
        """List the caution that a case differs from itself, if this is such a comparison."""
        return list(cautions.noise_floor(m, self.speedups.speedup(m), self._run.protocol))

    @functools.cached_property
    def speedups(self) -> Speedups:
        """The speedups of all comparisons, each judged by what all tell about scatter."""
        return Speedups.of(self.measured)


def scaling_kind(case: Case, reference: Case) -> Literal["strong", "weak"] | None:
    """Say whether more devices share the same batch (strong) or one as much larger (weak)."""
    more, rest = divmod(case.replicas, reference.replicas)
    if more < 2 or rest:
        return None
    alike = dataclasses.replace(case, replicas=reference.replicas, hosts=reference.hosts)
    if alike == reference:
        return "strong"
    smaller = dataclasses.replace(alike, batch_size=case.batch_size // more)
    return "weak" if smaller == reference else None


def differs_only_in(axis: str, case: Case, reference: Case) -> bool:
    """Whether two cases differ, and in that axis alone."""
    # Whether the step is compiled goes with the backend, and is a column.
    changed = {a: getattr(reference, a) for a in (axis, *(["jit"] if axis == "backend" else []))}
    if all(getattr(case, name) == value for name, value in changed.items()):
        return False
    return dataclasses.replace(case, **changed) == reference
