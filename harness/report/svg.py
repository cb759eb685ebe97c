"""Make a drawn SVG a part of an HTML page."""

import re
from xml.etree import ElementTree

_SVG = "{http://www.w3.org/2000/svg}"
_HREF = "{http://www.w3.org/1999/xlink}href"
_LINE = 10  # from the baseline of the caption's first line to its top, with some air


def inline(text: str, prefix: str, title: str, caption: str) -> str:
    """Rewrite an SVG so that many of them can share a page.

    Args:
        text: A whole SVG file, of this package's own making.
        prefix: Of every id, so that those of two charts differ.
        title: What a screen reader says of it.
        caption: The id of its lowest part, which the page shows in its own words.

    Returns:
        The element alone: no prolog, no metadata, no caption, no size but its `viewBox`.
    """
    ElementTree.register_namespace("", _SVG[1:-1])
    ElementTree.register_namespace("xlink", _HREF[1:-5])
    root = ElementTree.fromstring(text)  # noqa: S314  (drawn a moment ago, not received)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.get("id") == caption:
                _end_above(root, child)
                parent.remove(child)
            elif child.tag == f"{_SVG}metadata":
                parent.remove(child)
    for element in root.iter():
        for name, value in element.items():
            element.set(name, _prefixed(name, value, prefix))
    for name in ("width", "height"):
        root.attrib.pop(name, None)
    root.set("role", "img")
    root.set("aria-label", title)
    return ElementTree.tostring(root, encoding="unicode")


def _end_above(root: ElementTree.Element, part: ElementTree.Element) -> None:
    """Cut off what lies below the top of a part that consists of lines of text."""
    line = next(part.iter(f"{_SVG}text"))
    moved = re.search(r"translate\(\S+ (\S+)\)", line.get("transform", ""))
    baseline = float(moved[1] if moved else line.get("y", "nan"))
    left, top, width, _ = root.get("viewBox", "").split()
    root.set("viewBox", f"{left} {top} {width} {baseline - _LINE:g}")


def _prefixed(name: str, value: str, prefix: str) -> str:
    if name == "id":
        return prefix + value
    if name == _HREF and value.startswith("#"):
        return f"#{prefix}{value[1:]}"
    return value.replace("url(#", f"url(#{prefix}")
