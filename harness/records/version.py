"""Another version of what is trained, which references are trained in."""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Change:
    """Something that is not the same in the other version."""

    kind: Literal["file", "library", "variable"]
    name: str
    what: str  # `+3 -1` lines of the working tree; `3.15.1, was 3.10.0`


@dataclass(frozen=True, slots=True)
class Version:
    """What the references of a run are trained with, where that is not what is here."""

    name: str  # as in the id of a case: `main@1a2b3c4`
    commit: str | None = None  # the hash
    python: str | None = None  # the path of an interpreter
    environment: dict[str, str] = field(default_factory=dict)
    changes: tuple[Change, ...] = ()  # from the version to what is here
