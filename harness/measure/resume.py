"""What an interrupted run has measured, read from its journal, and whether to go on with it."""

import dataclasses
from collections import defaultdict
from pathlib import Path
from typing import Any

from harness.errors import BadRun
from harness.measure.block import Block
from harness.measure.schedule import ROLES, Plan
from harness.records import (
    Failure,
    Ladder,
    Machine,
    Measurement,
    ModelFacts,
    Protocol,
    Round,
    Search,
    Start,
    Surroundings,
    Training,
    Tuning,
    from_json,
)
from harness.records import journal as journals

_IN_OTHERS = ("round", "epoch")  # a block or a training holds them, or they are measured again


@dataclasses.dataclass
class Earlier:
    """What a journal holds of an interrupted run; its failures are tried again.

    Attributes:
        damaged: Numbers of the lines that are left out; what they held is measured again.
    """

    protocol: Protocol | None = None
    machine: Machine | None = None
    started_at: str | None = None
    command: str | None = None
    wall_seconds: float = 0.0
    measurements: dict[str, Measurement] = dataclasses.field(default_factory=dict)
    failures: dict[str, Failure] = dataclasses.field(default_factory=dict)
    trainings: dict[str, Training] = dataclasses.field(default_factory=dict)
    ladders: dict[str, Ladder] = dataclasses.field(default_factory=dict)
    searches: dict[str, Search] = dataclasses.field(default_factory=dict)
    tunings: dict[str, Tuning] = dataclasses.field(default_factory=dict)
    blocks: dict[str, list[Block]] = dataclasses.field(default_factory=lambda: defaultdict(list))
    damaged: list[int] = dataclasses.field(default_factory=list)

    @classmethod
    def read(cls, folder: Path) -> "Earlier":
        """Read a journal.

        Raises:
            BadRun: it is damaged or of another version.
        """
        earlier, anything = cls(), False
        path = folder / journals.NAME
        try:
            for entry in journals.read(folder, earlier.damaged.append, _IN_OTHERS):
                earlier._take(entry)
                anything = True
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise BadRun(
                f"{path} is damaged or of another version ({error!r}); start a new run"
            ) from error
        if anything and earlier.protocol is None:
            raise BadRun(
                f"{path} does not say any more how it was measured (its first line is damaged); "
                "start a new run"
            )
        return earlier

    def _take(self, entry: dict[str, Any]) -> None:
        if entry["kind"] == "run":
            schema = entry.get("schema", 1)
            if schema not in journals.READABLE_SCHEMAS:
                readable = " and ".join(map(str, journals.READABLE_SCHEMAS))
                raise ValueError(f"it has schema {schema}, this version reads {readable}")
            self.protocol = from_json(Protocol, entry["protocol"])
            self.machine = from_json(Machine, entry["machine"])
            self.started_at = entry["started_at"]
            self.command = entry.get("command")
        elif entry["kind"] == "block":
            block = _block(entry["block"])
            known = self.blocks[entry["key"]]
            if block.rounds[0].block == len(known):
                known.append(block)
        elif entry["kind"] == "training":
            training = from_json(Training, entry["training"])
            self.trainings[training.key] = training
            self.wall_seconds = entry.get("wall_seconds", self.wall_seconds)
        elif entry["kind"] == "ladder":
            ladder = from_json(Ladder, entry["ladder"])
            self.ladders[ladder.key] = ladder
        elif entry["kind"] == "search":
            search = from_json(Search, entry["search"])
            self.searches[search.key] = search
        elif entry["kind"] == "tuning":
            tuning = from_json(Tuning, entry["tuning"])
            self.tunings[tuning.key] = tuning
        elif entry["kind"] == "outcome":
            self.wall_seconds = entry["wall_seconds"]
            if entry["outcome"]["type"] == "measurement":
                measurement = from_json(Measurement, entry["outcome"])
                self.measurements[measurement.key] = measurement
                self.blocks.pop(measurement.key, None)  # it holds them
            else:
                failure = from_json(Failure, entry["outcome"])
                self.failures[failure.key] = failure

    def check(self, folder: Path, protocol: Protocol, machine: Machine) -> None:
        """Refuse to mix its times with those of another protocol, machine or version.

        Raises:
            BadRun: it is one.
        """
        if self.protocol is not None and _timing(self.protocol) != _timing(protocol):
            raise BadRun(
                f"{folder} was measured with another protocol; resume it with effort "
                f"{self.protocol.effort} and {_steps(self.protocol)}"
            )
        if self.machine is not None and _place(self.machine) != _place(machine):
            raise BadRun(
                f"{folder} was measured on another machine or with other versions; start a new run"
            )


def _steps(protocol: Protocol) -> str:
    return f"{protocol.steps} steps a round" if protocol.steps else "no number of steps"


def _timing(protocol: Protocol) -> Protocol:
    """Leave out what is no part of a time."""
    return dataclasses.replace(protocol, timeout_seconds=0.0)


def _place(machine: Machine) -> tuple[str, str, dict[str, str]]:
    return machine.id, machine.python, machine.libraries


def check_resume(folder: Path, protocol: Protocol, machine: Machine) -> None:
    """Refuse to go on with a run whose times are not to be mixed with new ones.

    Raises:
        BadRun: another protocol, machine or version, or no journal.
    """
    Earlier.read(folder).check(folder, protocol, machine)


def _block(data: dict[str, Any]) -> Block:
    around = data.get("surroundings")
    return Block(
        plan=from_json(Plan, data["plan"]),
        rounds=tuple(from_json(Round, item) for item in data["rounds"]),
        starts=tuple(from_json(Start, item) for item in data["starts"]),
        facts={role: from_json(ModelFacts, data["facts"][role]) for role in ROLES},
        surroundings=from_json(Surroundings, around) if around else None,
    )
