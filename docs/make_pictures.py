"""Take docs/images/report.png, the top of an example's page, with Debian's Chromium.

Run as `python docs/make_pictures.py` after `tox -e examples`; needs the extra `dev`.
"""

import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from harness.records import folders
from harness.report import files
from harness.report.names import shortened

DOCS = Path(__file__).resolve().parent
RUN = DOCS.parent / "results" / "examples" / "20261127-022320"
WIDTH, HEIGHT = 900, 1180


def main() -> None:
    """Write the page of the run to a temporary folder, open it, and take its top."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        files.write(shortened(folders.read(RUN)), Path(folder))
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(
            viewport={"width": WIDTH, "height": HEIGHT}, device_scale_factor=1.2
        )
        page.goto((Path(folder) / "report.html").as_uri())
        page.screenshot(path=DOCS / "images" / "report.png")
        browser.close()


if __name__ == "__main__":
    main()
