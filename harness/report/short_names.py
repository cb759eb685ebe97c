"""Names for people: a model's or dataset's file without its folder, where that is unique."""

import dataclasses
from collections import Counter
from collections.abc import Iterable
from typing import Any, TypeVar

from harness.analyze.compare import case_matching
from harness.records import Case, Run

R = TypeVar("R")


def shortened(run: Run) -> Run:
    """The same run with `my_model.py:build` for `work/models/my_model.py:build`.

    `run.json` and the journal keep the whole names.
    """
    cases = {case for pair in _pairs(run) for case in (pair.case, pair.reference)}
    cases |= {search.case for search in run.searches}
    cases |= {tuning.plain for tuning in run.tunings}
    short = _short({case.variant for case in cases} | {case.dataset for case in cases})

    def name(case: Case) -> Case:
        variant, dataset = short[case.variant], short[case.dataset]
        if (variant, dataset) == (case.variant, case.dataset):
            return case
        return dataclasses.replace(case, variant=variant, dataset=dataset)

    def both(pair: R) -> R:
        changed: Any = pair
        return dataclasses.replace(  # type: ignore[no-any-return]
            changed, case=name(changed.case), reference=name(changed.reference)
        )

    if all(long == kept for long, kept in short.items()):
        return run
    return dataclasses.replace(
        run,
        outcomes=tuple(map(both, run.outcomes)),
        trainings=tuple(
            dataclasses.replace(training, recipe=both(training.recipe))
            for training in run.trainings
        ),
        ladders=tuple(
            dataclasses.replace(ladder, rungs=tuple(map(both, ladder.rungs)))
            for ladder in run.ladders
        ),
        searches=tuple(
            dataclasses.replace(search, case=name(search.case)) for search in run.searches
        ),
        tunings=tuple(
            dataclasses.replace(
                tuning,
                plain=name(tuning.plain),
                attempts=tuple(map(both, tuning.attempts)),
                stacked=tuning.stacked and name(tuning.stacked),
            )
            for tuning in run.tunings
        ),
    )


def _pairs(run: Run) -> list[Any]:
    rungs = [rung for ladder in run.ladders for rung in ladder.rungs]
    return [*run.outcomes, *(training.recipe for training in run.trainings), *rungs]


def _short(names: Iterable[str]) -> dict[str, str]:
    last = {name: case_matching.short(name) for name in names}
    many = Counter(last.values())
    return {name: name if many[short] > 1 else short for name, short in last.items()}
