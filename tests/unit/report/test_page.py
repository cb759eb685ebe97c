"""The page of a run, as HTML."""

import base64
import dataclasses
import hashlib
import re
from html.parser import HTMLParser
from typing import get_args

import pytest
from fakes import HOSTILE, hostile_run
from samples import dataframes, text_table

from harness.analyze.analysis import Analysis
from harness.analyze.compare.fleet import Fleet, RankedRow
from harness.analyze.verdicts import Verdict
from harness.records import Estimate
from harness.report import files
from harness.report.html import page
from harness.report.sentence import sentence
from harness.tables.declare import Column
from harness.tables.text import build

ADVICE = ("Use the GPU from batch 256 on.", f"But not for {HOSTILE}.")


class Tags(HTMLParser):
    """Every tag with its attributes, and the text of the page by the tag it stands in."""

    def __init__(self, text):
        super().__init__()
        self.found, self.text, self._open = [], {}, []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        self._open.append(tag)

    def handle_endtag(self, tag):
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data):
        self.text.setdefault(self._open[-1] if self._open else "", []).append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return hostile_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def folder(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("written")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "recommendations", lambda _: ADVICE)
        files.write(run, folder)
    return folder


@pytest.fixture(scope="module")
def text(folder):
    return (folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def tags(text):
    return Tags(text)


def bare(run, advice=()):
    """The page without charts, which are slow to draw."""
    tables = {name: text_table(run, name) for name, f in dataframes(run).items()}
    return page.render(Analysis(run), tables, [], sentence(Analysis(run)), advice)


def test_nothing_is_fetched(tags):
    """What is referred to stands in the page itself."""
    for _, attributes in tags.found:
        for name in ("src", "href", "xlink:href", "action", "srcset", "data"):
            value = attributes.get(name) or "#"
            assert value.startswith(("#", "data:")), value
    assert "@import" not in "".join(tags.text["style"])
    assert "url(" not in "".join(tags.text["style"])


def test_what_is_referred_to_exists_and_once(tags):
    """Ids of two charts do not collide."""
    ids = [attributes["id"] for _, attributes in tags.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in tags.found:
        for name, value in attributes.items():
            if name in ("href", "xlink:href") and value.startswith("#"):
                assert value[1:] in ids
            if name == "aria-labelledby":
                assert value in ids
            assert set(re.findall(r"url\(#([^)]+)\)", value or "")) <= set(ids)


def test_the_only_script_is_the_one_that_sorts(tags):
    """And the page's own policy lets no other run."""
    assert tags.all("script") == [{}]
    (policy,) = (a["content"] for a in tags.all("meta") if "http-equiv" in a)
    digest = hashlib.sha256("".join(tags.text["script"]).encode()).digest()
    assert f"script-src 'sha256-{base64.b64encode(digest).decode()}'" in policy
    assert "default-src 'none'" in policy


def test_a_hostile_name_is_text(tags, text):
    """In tables, charts, notes, advice, command."""
    assert "<script>alert" not in text
    shown = [HOSTILE in "".join(tags.text[tag]) for tag in ("th", "text", "li", "p", "code")]
    assert all(shown), shown


def test_every_chart_that_was_drawn_is_on_the_page(tags, folder):
    """Each with a name that says what it shows, and its caption."""
    drawn = list((folder / "charts").glob("*.svg"))
    assert {"device_speedup.svg", "measurements.svg"} <= {path.name for path in drawn}
    assert any(path.name.startswith("gpu_") for path in drawn)
    charts = tags.all("svg")
    assert len(charts) == len(drawn) == len(tags.all("figcaption"))
    assert all(chart["role"] == "img" and chart["aria-label"] for chart in charts)


def test_every_row_of_every_table_is_on_the_page(run, tags):
    """A row of headings each besides."""
    built = [text_table(run, name) for name, frame in dataframes(run).items()]
    rows = sum(len(one.rows) + 1 for one in built)
    assert len(tags.all("tr")) == rows
    assert all(attributes["scope"] in ("col", "row") for attributes in tags.all("th"))


def test_the_page_has_the_frame_of_a_document(tags, text):
    """One heading of the first rank, a language, a title."""
    assert text.startswith("<!DOCTYPE html>")
    assert tags.all("html") == [{"lang": "en"}]
    assert len(tags.all("h1")) == 1
    assert tags.text["title"]


def test_failures_cautions_and_environment_are_said(text):
    """Below, or beside, what they are about."""
    assert "memory ran out" in text
    assert 'href="#failures"' in text
    assert "Fake CPU" in text
    assert "2.21.0" in text


def test_advice_and_command_stand_there_if_there_are_any(run):
    """And leave no empty heading otherwise."""
    assert "Recommendation" in bare(run, ADVICE)
    assert "Repeat it" in bare(run)
    nothing = bare(dataclasses.replace(run, command=None))
    assert "Recommendation" not in nothing
    assert "Repeat it" not in nothing


def test_a_run_of_which_all_failed_has_a_page(run):
    """With the reasons."""
    failed = dataclasses.replace(run, outcomes=run.outcomes[-1:])
    assert "memory ran out" in bare(failed)


def test_the_page_is_among_the_paths_written(run, tmp_path, no_charts):
    """At the top of the folder."""
    paths = files.write(run, tmp_path).paths
    assert tmp_path / "report.html" in paths


def test_a_verdict_is_colored_by_what_it_is_and_not_by_its_words():
    """The class of a cell comes from the verdict, each of the five has a style."""
    columns = (
        Column("model", lambda row: row[0], numeric=False),
        Column("said", lambda row: row[1], numeric=False, verdict=lambda row: row[2]),
    )
    verdicts = [*get_args(Verdict), None]
    rows = [(f"model {n}", f"words {n}", verdict) for n, verdict in enumerate(verdicts)]
    row = RankedRow("a", 1, "m", 2, Estimate(1, 1, 1, 2), Estimate(1, 1, 1, 2), None, *[None] * 5)
    nothing = build("Runs", columns[:1], [])
    found = Fleet(None, [row], [])
    text = page.render_fleet({"case_1": build("Title", columns, rows)}, nothing, found)
    cells = [attributes.get("class") for attributes in Tags(text).all("td")]
    assert cells == [
        "verdict faster",
        "verdict slower",
        "verdict same",
        "verdict small-difference",
        "verdict undecided",
        "verdict none",
    ]
    style = "".join(Tags(text).text["style"])
    assert [c for c in cells if f".{c.split()[1]}" not in style] == []
