"""The words of every report, each in one line; `docs/glossary.md` is written from here."""

from harness.analyze.verdicts import MARGIN

_MARGIN = f"{100 * MARGIN:g} %"

TERMS = {
    "1.37× [1.33, 1.41]": "A speedup: time of the reference divided by time of the case, for the "
    "same work. Above 1, the case is faster. The brackets are a 95 % confidence interval.",
    "faster, slower": f"The whole interval lies more than {_MARGIN} from 1. The largest of many "
    "speedups is likely to be a little too large.",
    "same": f"The whole interval lies within {_MARGIN} of 1.",
    "small difference": f"The whole interval lies on one side of 1, partly within {_MARGIN} of it "
    "and partly beyond: the direction is known, the size is open.",
    "undecided": "None of these. The table states the smallest difference that a run like this one "
    "finds with 80 % probability.",
    "case": "A model with its batch size, device, backend, threads and other settings.",
    "reference": "The case with which a case is compared.",
    "reference vs itself": "The reference measured against itself. The row shows what this machine "
    "reports where there is no difference.",
    "noise floor": "How far the interval of the reference vs itself reaches from 1.",
    "worker": "A fresh process that builds and trains one case.",
    "round": "A fraction of a second of training steps in one worker, timed as a whole.",
    "turn": "One round of each worker of a block, right after each other.",
    "block": "Fresh workers that train in turns: one per case, two of the reference (one at quick "
    "effort). Intervals are computed over blocks.",
    "group": "Comparisons that are measured together and share their workers.",
    "effort": "How many blocks a comparison has: one at quick effort (which gives no verdicts), "
    "more at default, most at thorough.",
    "start-order effect": "In pairs (protocol 1) the worker that started first was slightly "
    "slower. Another worker starts first in each block.",
    "drift between runs": "A machine is not equally fast at all times. Intervals between two runs "
    "include that.",
    "control model": "A model that did not change between two runs and so shows drift.",
    "setting": "Something that may make the same model train faster, such as XLA, bfloat16 or an "
    "allocator. The option that selects settings is called --levers.",
    "kept": "Said of a setting that is faster on top of those that were kept before.",
    "best combination": "All kept settings together.",
    "fixed cost per step": "The part of a step's time that does not grow with the batch.",
    "change": "One step of a ladder: a model differs from the one before in this alone.",
    "full training": "A training over all epochs of its recipe, for accuracy.",
    "break-even": "Number of steps after which the faster choice has made up for its slower start.",
    "caution": "A reason to doubt a number, with its cause and what to do about it.",
}

# Those that every report explains.
ON_PAGE = (
    "1.37× [1.33, 1.41]",
    "faster, slower",
    "same",
    "small difference",
    "undecided",
    "reference",
    "reference vs itself",
    "block",
    "effort",
    "caution",
)


def markdown() -> str:
    """Write `docs/glossary.md`."""
    rows = "\n".join(f"| {word} | {meaning} |" for word, meaning in TERMS.items())
    return (
        "# Glossary\n\nThe words of tables, charts and pages. `harness/report/glossary.py` is the "
        f"source of this page.\n\n| word | meaning |\n| --- | --- |\n{rows}\n"
    )
