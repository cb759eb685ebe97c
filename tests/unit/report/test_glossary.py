"""The words of every report stand in one place."""

from pathlib import Path
from typing import get_args

from harness.analyze.verdicts import Verdict
from harness.report import glossary

PAGE = Path(__file__).parents[3] / "docs" / "glossary.md"


def test_the_page_of_the_docs_is_written_from_the_terms():
    """Write it again with `glossary.markdown()` after a change."""
    assert PAGE.read_text(encoding="utf-8") == glossary.markdown()


def test_every_verdict_is_explained_on_the_page_of_a_run():
    """All five."""
    explained = " ".join(glossary.ON_PAGE)
    assert [verdict for verdict in get_args(Verdict) if verdict not in explained] == []


def test_a_term_is_explained_once():
    """In one line."""
    assert len(set(glossary.ON_PAGE)) == len(glossary.ON_PAGE)
    assert not any("\n" in meaning for meaning in glossary.TERMS.values())
