"""The site of the documentation: `tox -e docs`. Pages stay readable as plain Markdown."""

import re
from pathlib import Path

from sphinx.application import Sphinx

project = "Training harness"
extensions = ["myst_parser"]
root_doc = "README"
source_suffix = {".md": "markdown"}
html_theme = "furo"
html_title = "Training harness"
myst_heading_anchors = 3

# A link, not an image, to a file of the repository that is no page.
_TO_THE_REPOSITORY = re.compile(r"(?<!!)\[([^\]]*)\]\((?:\.\./|examples)[^)]*\)")


def adapt(_app: Sphinx, page: str, source: list[str]) -> None:
    """Show links into the repository as text, and put the pages of the index into the sidebar."""
    source[0] = _TO_THE_REPOSITORY.sub(r"\1", source[0])
    if page == root_doc:
        pages = dict.fromkeys(re.findall(r"\]\(([\w-]+)\.md\)", source[0]))
        source[0] += "\n".join(["\n```{toctree}", ":hidden:", "", *pages, "```\n"])


def redirect(app: Sphinx, _error: Exception | None) -> None:
    """Let the folder of the site open its index."""
    page = f'<meta http-equiv="refresh" content="0; url={root_doc}.html">\n'
    (Path(app.outdir) / "index.html").write_text(page, encoding="utf-8")


def setup(app: Sphinx) -> None:
    """Connect the hooks."""
    app.connect("source-read", adapt)
    app.connect("build-finished", redirect)
