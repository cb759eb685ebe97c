"""Put a drawn SVG into an HTML page."""

import re
from xml.etree import ElementTree

_SVG = "{http://www.w3.org/2000/svg}"
_HREF = "{http://www.w3.org/1999/xlink}href"
_LINE = 10  # from the baseline of the caption's first line to above its top


def inline(text: str, prefix: str, title: str, caption: str) -> str:
    """Rewrite a whole SVG file so that many of them can share a page.

    The element has no prolog, metadata and size, but its `viewBox`; every id has the prefix. The
    caption is the id of the lowest part, which the page writes as text instead. Screen readers
    read the title.
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
    root.attrib.update({"role": "img", "aria-label": title})
    return ElementTree.tostring(root, encoding="unicode")


def _end_above(root: ElementTree.Element, part: ElementTree.Element) -> None:
    """Cut the picture off above a part that consists of lines of text."""
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
