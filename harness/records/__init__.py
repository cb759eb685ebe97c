"""Every value that crosses a process or reaches the disk.

SI units, the unit in the name. Observations only: what can be derived from
them is derived in `harness.analyze`. A missing value is None.
"""

from harness.records.case import DEVICES, Case, Platform, Protocol, comparison_key
from harness.records.codec import from_json, to_json
from harness.records.comparison import (
    Block,
    BlockPlan,
    Ended,
    Failure,
    FailureKind,
    Ladder,
    Measurement,
    Outcome,
    Rung,
    SidePlan,
)
from harness.records.counters import Counters
from harness.records.estimate import Estimate, Finding
from harness.records.observations import (
    Fit,
    GpuReading,
    GpuTrace,
    GpuUsage,
    LayerFacts,
    ModelFacts,
    Peak,
    Profile,
    Role,
    Round,
    Spent,
    Start,
    Surroundings,
    Traced,
    Usage,
)
from harness.records.run import SCHEMA, Change, CpuEnergy, Gpu, Machine, Run, Version, Withheld
from harness.records.search import Attempt, Search, TriedSize, Tuning
from harness.records.training import Epoch, Mistake, Recipe, Training

__all__ = [
    "DEVICES",
    "SCHEMA",
    "Attempt",
    "Block",
    "BlockPlan",
    "Case",
    "Change",
    "Counters",
    "CpuEnergy",
    "Ended",
    "Epoch",
    "Estimate",
    "Failure",
    "FailureKind",
    "Finding",
    "Fit",
    "Gpu",
    "GpuReading",
    "GpuTrace",
    "GpuUsage",
    "Ladder",
    "LayerFacts",
    "Machine",
    "Measurement",
    "Mistake",
    "ModelFacts",
    "Outcome",
    "Peak",
    "Platform",
    "Profile",
    "Protocol",
    "Recipe",
    "Role",
    "Round",
    "Run",
    "Rung",
    "Search",
    "SidePlan",
    "Spent",
    "Start",
    "Surroundings",
    "Traced",
    "Training",
    "TriedSize",
    "Tuning",
    "Usage",
    "Version",
    "Withheld",
    "comparison_key",
    "from_json",
    "to_json",
]
