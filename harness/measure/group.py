"""A group: comparisons that are measured together, block by block, and share their workers."""

import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from harness.measure.block import BlockRun, Measured, Member, is_interleaved
from harness.measure.budget import Budget
from harness.measure.side import Setup
from harness.measure.workers.worker_process import HostLost, WorkerFailed
from harness.records import Block, Case, Ended, Failure, Measurement, Outcome, Round
from harness.records import protocol as protocols

Comparison = tuple[Case, Case]  # a case and its reference
_SAME_LOSS = 1e-6  # relative: the same arithmetic


@dataclass(frozen=True, slots=True)
class Wish:
    """How a comparison is measured.

    Attributes:
        early_steps: See `Member`.
        early_blocks: Blocks at the beginning in which they are trained, and in which the case alone
            times a `fit`; None for all, and for both.
        screened: Whether it is one of many that are tried: it ends after a hopeless first block,
            times a `fit` only if that is what is compared, and leaves out early losses at quick
            effort, which judges none.
    """

    early_steps: int | None = None
    early_blocks: int | None = None
    screened: bool = False


NO_WISH = Wish()


@dataclass
class Group:
    """Measures the comparisons of a group.

    Attributes:
        comparisons: All interleaved, or none.
        setup: What they are measured with.
        budget: Drops blocks and rounds to stay under a time limit.
        number: Returns the number of the next block of the run.
        on_round: Called with the case of each round as it ends.
        on_block: Called with the new block of each comparison once the block is done.
        on_outcome: Called with each outcome once it is known.
        blocks: By comparison: those that an interrupted run has measured, then all.
        pending: Comparisons that lack a block.
    """

    comparisons: Mapping[Comparison, Wish]
    setup: Setup
    budget: Budget
    number: Callable[[], int]
    on_round: Callable[[Case, Round], None]
    on_block: Callable[[Mapping[Comparison, Block]], None]
    on_outcome: Callable[[Outcome], None]
    blocks: dict[Comparison, list[Block]]
    pending: list[Comparison] = field(default_factory=list, init=False)
    _lost: set[Comparison] = field(default_factory=set, init=False)  # of which a host was lost
    _share: float = field(default=1.0, init=False)  # of the rounds of the first block
    _begin: float = field(default_factory=time.perf_counter, init=False)

    def measure(self) -> None:
        """Measure all blocks; a comparison of too slow steps follows alone.

        After some numbers of blocks the protocol looks, and what is decided ends.
        """
        self.pending = list(self.comparisons)
        self._prepare()
        wanted, limited, slow = self.setup.protocol.blocks, False, list[Comparison]()
        while self.pending:
            fewest = min(len(self.blocks[comparison]) for comparison in self.pending)
            begin = time.perf_counter()
            measured = self._block(fewest)
            if not limited:
                seconds = time.perf_counter() - begin
                left, self._share = self.budget.blocks(
                    wanted - fewest, seconds, measured.round_seconds, len(self.comparisons)
                )
                wanted, limited = fewest + left, True
            slow += [c for c in self.pending if measured.slow.intersection(c)]
            for comparison in list(self.pending):
                if comparison in slow:
                    self.pending.remove(comparison)
                elif failed := [case for case in comparison if case in measured.failed]:
                    self._again_or_fail(comparison, failed[0], measured.failed[failed[0]])
            self._end([c for c in self.pending if self._is_hopeless(c)], "screened")
            self._look()
            self._end([c for c in self.pending if len(self.blocks[c]) >= wanted])
        for comparison in slow:
            self.pending = [comparison]
            alone = {comparison: self.comparisons[comparison]}
            dataclasses.replace(self, comparisons=alone).measure()

    def _prepare(self) -> None:
        """Import the frameworks, so that no block's time includes it."""
        for comparison in self.comparisons:
            for case in comparison:
                try:
                    self.setup.launcher.prepare(case, wait=True)
                except WorkerFailed as error:
                    self._fail(comparison, case, error)
                    break

    def _block(self, index: int) -> Measured:
        """Measure a block of all comparisons that have so many."""
        members = [
            self._member(comparison, self.blocks[comparison])
            for comparison in self.pending
            if len(self.blocks[comparison]) == index
        ]
        measured = BlockRun(self.number(), members, self.setup, self.on_round).measure()
        for comparison, block in measured.blocks.items():
            self.blocks[comparison].append(block)
        self.on_block(measured.blocks)
        return measured

    def _member(self, comparison: Comparison, blocks: Sequence[Block]) -> Member:
        wish = self.comparisons[comparison]
        early_steps = wish.early_steps
        unjudged = wish.screened and self.setup.protocol.effort == "quick"
        enough = wish.early_blocks is not None and len(blocks) >= wish.early_blocks
        if unjudged or enough or (blocks and _learn_alike(blocks[-1])):
            early_steps = None
        plan = blocks[0].plan.shortened(self._share) if blocks else None
        case, reference = comparison
        by_feed = case.feed != reference.feed
        return Member(
            case,
            reference,
            len(blocks),
            plan,
            early_steps,
            fit_case=by_feed or not (wish.screened or enough),
            fit_reference=by_feed or wish.early_blocks is None,
        )

    def _end(self, comparisons: Sequence[Comparison], how: Ended = "complete") -> None:
        for comparison in comparisons:
            self.pending.remove(comparison)
            self.on_outcome(dataclasses.replace(self._measurement(comparison), ended=how))

    def _is_hopeless(self, comparison: Comparison) -> bool:
        return (
            self.comparisons[comparison].screened
            and self.setup.protocol.effort == "default"
            and len(self.blocks[comparison]) == 1
            and self.setup.is_hopeless(self._measurement(comparison))
        )

    def _look(self) -> None:
        """End what is decided, if this is a look; a case against itself follows the others."""
        looks = self.setup.protocol.looks
        seen = [c for c in self.pending if len(self.blocks[c]) in looks]
        self._end([c for c in seen if self.setup.is_decided(self._measurement(c))], "decided")
        if any(map(_differs, self.comparisons)) and not any(map(_differs, self.pending)):
            self._end([c for c in self.pending if c in seen], "decided")

    def _again_or_fail(self, comparison: Comparison, failed: Case, error: WorkerFailed) -> None:
        """End a comparison; if a host was lost for the first time, measure the block again."""
        again = isinstance(error, HostLost) and not error.final and comparison not in self._lost
        if again:
            self._lost.add(comparison)
        else:
            self._fail(comparison, failed, error)

    def _fail(self, comparison: Comparison, failed: Case, error: WorkerFailed) -> None:
        case, reference = comparison
        message = str(error)
        if failed == reference != case:
            message = f"the reference {reference.id} failed: {message}"
        self.pending.remove(comparison)
        self.on_outcome(Failure(case, reference, error.kind, message, error.log_tail))

    def partial(self) -> list[Measurement]:
        """Return what is measured of comparisons whose blocks are not complete."""
        found = [self._measurement(one) for one in self.pending if self.blocks[one]]
        return [dataclasses.replace(one, ended="interrupted") for one in found]

    def _measurement(self, comparison: Comparison) -> Measurement:
        (case, reference), blocks = comparison, self.blocks[comparison]
        first = blocks[0]
        return Measurement(
            case=case,
            reference=reference,
            facts=first.facts["case"],
            reference_facts=first.facts["reference"],
            steps=first.plan.case.steps,
            reference_steps=first.plan.reference.steps,
            pairs=first.plan.case.rounds,
            rounds=tuple(a_round for block in blocks for a_round in block.rounds),
            starts=tuple(start for block in blocks for start in block.starts),
            wall_seconds=(time.perf_counter() - self._begin) / len(self.comparisons),
            interleaved=is_interleaved(case, reference),
            surroundings=tuple(b.surroundings for b in blocks if b.surroundings is not None),
            confidence=protocols.confidence(self.setup.protocol, len(blocks)),
        )


def _differs(comparison: Comparison) -> bool:
    case, reference = comparison
    return case != reference


def _learn_alike(block: Block) -> bool:
    """True if the early losses agree or were not requested; later blocks then skip them."""
    losses = [start.early_loss for start in block.starts if start.early_loss is not None]
    return all(math.isclose(loss, losses[0], rel_tol=_SAME_LOSS) for loss in losses)
