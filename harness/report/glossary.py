"""The words of every report, each in one line; `docs/glossary.md` is written from here."""

from typing import NamedTuple

from harness.analyze.verdicts import MARGIN

_MARGIN = f"{100 * MARGIN:g} %"


class Term(NamedTuple):
    """A word with its meaning.

    Attributes:
        name: The word.
        meaning: One or two sentences.
        on_page: Whether every report explains it.
    """

    name: str
    meaning: str
    on_page: bool = False


TERMS = (
    Term(
        "1.37× [1.33, 1.41]",
        "A speedup: time of the reference divided by time of the case, for the same work. Above 1, "
        "the case is faster. The brackets are a 95 % confidence interval.",
        on_page=True,
    ),
    Term(
        "faster, slower",
        f"The whole interval lies more than {_MARGIN} from 1. The largest of many speedups is "
        "likely to be a little too large.",
        on_page=True,
    ),
    Term("same", f"The whole interval lies within {_MARGIN} of 1.", on_page=True),
    Term(
        "small difference",
        f"The whole interval lies on one side of 1, but not all of it more than {_MARGIN} away.",
        on_page=True,
    ),
    Term(
        "undecided",
        "Anything else. The table states the smallest difference that a run like this one finds "
        "with 80 % probability.",
        on_page=True,
    ),
    Term("case", "A model with its batch size, device, backend, threads and other settings."),
    Term("reference", "The case with which a case is compared.", on_page=True),
    Term(
        "reference vs itself",
        "The reference measured against itself. The row shows what this machine reports where "
        "there is no difference.",
        on_page=True,
    ),
    Term("noise floor", "How far the interval of the reference vs itself reaches from 1."),
    Term("worker", "A fresh process that builds and trains one case."),
    Term("round", "A fraction of a second of training steps in one worker, timed as a whole."),
    Term("pair", "A round of the case and a round of the reference, right after each other."),
    Term(
        "block",
        "A pair of fresh workers, one per side, that train in turns. Intervals are computed over "
        "blocks.",
        on_page=True,
    ),
    Term(
        "effort",
        "How many blocks a comparison has: few at quick effort (which gives no verdicts), more at "
        "default, most at thorough.",
        on_page=True,
    ),
    Term(
        "start-order effect",
        "The worker that starts first is slightly slower. The sides swap places in every block, "
        "and the effect is subtracted.",
    ),
    Term(
        "drift between runs",
        "A machine is not equally fast at all times. Intervals between two runs include that.",
    ),
    Term("control model", "A model that did not change between two runs and so shows drift."),
    Term(
        "setting",
        "Something that may make the same model train faster, such as XLA, bfloat16 or an "
        "allocator. The option that selects settings is called --levers.",
    ),
    Term("kept", "Said of a setting that is faster on top of those that were kept before."),
    Term("best combination", "All kept settings together."),
    Term("fixed cost per step", "The part of a step's time that does not grow with the batch."),
    Term("change", "One step of a ladder: a model differs from the one before in this alone."),
    Term("full training", "A training over all epochs of its recipe, for accuracy."),
    Term(
        "break-even",
        "Number of steps after which the faster choice has made up for its slower start.",
    ),
    Term(
        "caution",
        "A reason to doubt a number, with its cause and what to do about it.",
        on_page=True,
    ),
)


def markdown() -> str:
    """Write `docs/glossary.md`."""
    rows = "\n".join(f"| {term.name} | {term.meaning} |" for term in TERMS)
    return (
        "# Glossary\n\nThe words of tables, charts and pages. `harness/report/glossary.py` is the "
        f"source of this page.\n\n| word | meaning |\n| --- | --- |\n{rows}\n"
    )
