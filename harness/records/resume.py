"""What the journal of an interrupted run holds, and whether the run may be resumed."""

import dataclasses
import operator
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from harness.errors import BadRun
from harness.records import journal
from harness.records import protocol as protocols
from harness.records.case import Protocol
from harness.records.codec import from_json
from harness.records.comparison import Block, Failure, Ladder, Outcome
from harness.records.observations import Profile
from harness.records.run import Machine, Version
from harness.records.search import Search, Tuning
from harness.records.training import Training

Record = Outcome | Training | Ladder | Search | Tuning | Profile
KINDS: dict[str, Any] = {  # of the journal's entries that hold one whole record
    "outcome": Outcome,
    "training": Training,
    "ladder": Ladder,
    "search": Search,
    "tuning": Tuning,
    "profile": Profile,
}
_IN_OTHERS = ("round", "epoch")  # also in the entry of their block or training
_identity = operator.attrgetter("id", "python", "libraries")  # of a machine


def kind_of(record: type[Any]) -> str:
    """Name the kind of journal entry that holds such a record."""
    return next(kind for kind, records in KINDS.items() if issubclass(record, records))


def unfinished(runs: Path, command: str) -> Path | None:
    """Find the newest run in a folder that this command began and did not end.

    One that another process is measuring does not count.
    """
    for folder in sorted(runs.glob("*"), reverse=True):
        try:
            first = next(journal.read(folder), {})
            if first.get("command") != command or journal.is_locked(folder):
                continue
            if not ResumedRun.read(folder).ended:
                return folder
        except BadRun:  # no run, or a damaged one
            continue
    return None


@dataclass
class ResumedRun:
    """What a journal holds of an interrupted run; records, failures and blocks by their key."""

    protocol: Protocol | None = None
    machine: Machine | None = None
    version: Version | None = None  # that references are trained in
    started_at: str | None = None
    command: str | None = None
    wall_seconds: float = 0.0  # how long the run had taken
    records: dict[str, dict[str, Any]] = field(default_factory=lambda: {kind: {} for kind in KINDS})
    failures: dict[str, Failure] = field(default_factory=dict)  # measured again
    # Of comparisons without an outcome.
    blocks: dict[str, list[Block]] = field(default_factory=lambda: defaultdict(list))
    damaged: list[int] = field(default_factory=list)  # lines; what they held is measured again
    ended: bool = False  # everything that its command asks for was tried

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read a journal; BadRun if there is none, it is damaged, or it has another schema."""
        resumed, anything = cls(), False
        path = folder / journal.NAME
        try:
            for entry in journal.read(folder, resumed.damaged.append, _IN_OTHERS):
                resumed._take(entry)
                anything = True
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            why = f"is damaged or has another schema ({error!r})"
            raise BadRun(f"{path} {why}; start a new run") from error
        if anything and resumed.protocol is None:
            why = "has lost its first line, which holds the protocol"
            raise BadRun(f"{path} {why}; start a new run")
        return resumed

    def _take(self, entry: dict[str, Any]) -> None:
        kind = entry["kind"]
        self.ended = kind == journal.END
        if kind == "run":
            schema = entry.get("schema", 1)
            if schema not in journal.READABLE_SCHEMAS:
                readable = " and ".join(map(str, journal.READABLE_SCHEMAS))
                raise ValueError(f"schema {schema}, this version reads {readable}")
            self.protocol = from_json(Protocol, entry["protocol"])
            self.machine = from_json(Machine, entry["machine"])
            if known := entry.get("version"):
                self.version = from_json(Version, known)
            self.started_at = entry["started_at"]
            self.command = entry.get("command")
        elif kind == "block":
            block = from_json(Block, entry["block"])
            known = self.blocks[entry["key"]]
            if block.rounds[0].block == len(known):
                known.append(block)
        elif kind in KINDS:
            self.wall_seconds = entry.get("wall_seconds", self.wall_seconds)
            record = from_json(KINDS[kind], entry[kind])
            if isinstance(record, Failure):
                self.failures[record.key] = record
            else:
                self.records[kind][record.key] = record
                self.blocks.pop(record.key, None)  # a measurement holds its blocks

    @property
    def last_group_block(self) -> int:
        """Largest number of a block; -1 without one."""
        blocks = [block for its in self.blocks.values() for block in its]
        held = (*blocks, *self.records["outcome"].values())
        numbers = {start.group_block for one in held for start in one.starts}
        return max((number for number in numbers if number is not None), default=-1)

    def check(
        self, folder: Path, protocol: Protocol, machine: Machine, version: Version | None = None
    ) -> None:
        """Refuse times that do not compare: BadRun if protocol, machine or a version differs.

        The timeout changes no time. A run keeps its blocks, as many as its number of comparisons
        gave it.
        """
        known = self.protocol or protocol
        if known.version != protocol.version:
            raise BadRun(
                f"{folder} was measured by version {known.version} of the protocol, and this "
                f"harness measures by version {protocol.version}; start a new run"
            )
        same = dataclasses.replace(known, timeout_seconds=protocol.timeout_seconds)
        if protocols.of_few(same) != protocols.of_few(protocol):
            steps = f"{known.steps or 'no fixed'} steps per round"
            raise BadRun(
                f"{folder} was measured with another protocol; resume it with effort "
                f"{known.effort} and {steps}, or start a new run"
            )
        if self.machine is not None and _identity(self.machine) != _identity(machine):
            where = "on another machine or with other versions"
            raise BadRun(f"{folder} was measured {where}; start a new run")
        if self.machine is not None and self.version != version:
            raise BadRun(f"{folder} compares other files or versions; start a new run")
