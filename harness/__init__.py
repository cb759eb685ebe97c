"""Measures what training a model costs, and how much faster one choice is than another."""

from harness.errors import HarnessError
from harness.records import Case, Failure, Measurement, Run, Training

__all__ = ["Case", "Failure", "HarnessError", "Measurement", "Run", "Training"]
