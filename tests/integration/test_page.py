"""The page of a run in a real browser: it loads nothing, sorts, fits a phone."""

import shutil

import pytest
from fakes import HOSTILE, hostile_run

from harness.report import files

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = [
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-quic",
]  # fmt: skip

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium on this machine: apt-get install chromium"
)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A page with tables, charts, readings of a GPU, a failure and a hostile name."""
    folder = tmp_path_factory.mktemp("run")
    files.write(hostile_run(folder), folder)
    return folder / "report.html"


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def opened(browser, written):
    """Open the page; `heard` keeps what it asks for, says and tries."""
    contexts = []

    def open_page(width=1280, **how):
        context = browser.new_context(viewport={"width": width, "height": 900}, **how)
        contexts.append(context)
        page, heard = context.new_page(), []
        page.on("request", lambda request: heard.append(request.url))
        page.on("console", lambda message: heard.append(message.text))
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.on("dialog", lambda dialog: (heard.append("a dialog"), dialog.dismiss()))
        page.goto(written.as_uri())
        return page, [entry for entry in heard if not entry.startswith("data:")]

    yield open_page
    for context in contexts:
        context.close()


def column(page, number):
    return page.locator(f"#measurements tbody tr > :nth-child({number})").all_inner_texts()


def heading(page, words):
    """A column of the measurements: its number and its heading."""
    headings = page.locator("#measurements thead th")
    number = next(i for i, text in enumerate(headings.all_inner_texts()) if words in text)
    return number + 1, headings.nth(number)


def test_the_file_alone_is_loaded_and_nothing_is_wrong(opened, written):
    """No request, no message, no dialog of a hostile name."""
    page, heard = opened()
    assert heard == [written.as_uri()]
    assert page.locator("script").count() == 1
    assert page.get_by_text(HOSTILE).count() > 1


def test_a_press_on_a_heading_sorts_by_number_then_turns_then_goes_back(opened):
    """What is missing stays last."""
    page, _ = opened()
    number, cell = heading(page, "ms/step")
    before = column(page, number)
    values = sorted(float(text.split(" ")[0]) for text in before if text != "–")
    assert "–" in before, "the case that failed"
    for order, expected in (("ascending", values), ("descending", values[::-1])):
        cell.get_by_role("button").click()
        assert cell.get_attribute("aria-sort") == order
        *known, last = column(page, number)
        assert [float(text.split(" ")[0]) for text in known] == expected
        assert last == "–"
    cell.get_by_role("button").click()
    assert cell.get_attribute("aria-sort") is None
    assert column(page, number) == before


def test_speedups_with_intervals_sort_by_keyboard_as_numbers(opened):
    """14.29× comes after 2.79×."""
    page, _ = opened()
    cell = page.locator("#device_speedup thead th", has_text="speedup [95 %]").first
    cell.get_by_role("button").focus()
    page.keyboard.press("Enter")
    texts = page.locator("#device_speedup tbody tr").all_inner_texts()
    shown = [float(text.split("×")[0].split("\t")[-1]) for text in texts]
    assert shown == sorted(shown)
    assert max(shown) > 10
    assert cell.get_attribute("aria-sort") == "ascending"


def test_only_one_column_is_said_to_be_sorted(opened):
    """The last one pressed."""
    page, _ = opened()
    for words in ("variant", "batch"):
        heading(page, words)[1].get_by_role("button").click()
    assert page.locator("#measurements [aria-sort]").count() == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_scrolls_tables_and_not_the_page(opened, tmp_path, scheme):
    """At 390 pixels."""
    page, _ = opened(width=390, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.locator("#measurements .box").evaluate("box => box.scrollWidth > box.clientWidth")
    page.screenshot(path=tmp_path / f"{scheme}.png", full_page=True)
    assert (tmp_path / f"{scheme}.png").stat().st_size


def test_in_the_dark_charts_stay_on_white(opened):
    """And the page does not."""
    page, _ = opened(color_scheme="dark")
    color = "element => getComputedStyle(element).backgroundColor"
    assert page.locator(".card").first.evaluate(color) == "rgb(255, 255, 255)"
    assert page.locator("body").evaluate(color) != "rgb(255, 255, 255)"


def test_every_chart_has_a_name_for_those_who_cannot_see_it(opened):
    """An image with a name, and a caption beside it."""
    page, _ = opened()
    charts, captions = page.get_by_role("img").all(), page.locator("figcaption")
    assert len(charts) == captions.count() > 3
    assert all(chart.get_attribute("aria-label") for chart in charts)


def test_paper_has_no_navigation(opened):
    """Nor boxes that scroll: what is in them would be cut off."""
    page, _ = opened()
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible()
    overflow = "box => getComputedStyle(box).overflow"
    assert page.locator("#measurements .box").evaluate(overflow) == "visible"
