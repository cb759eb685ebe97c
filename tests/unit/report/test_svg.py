"""A drawn SVG as a part of a page."""

from xml.etree import ElementTree

from harness.report.html import svg

DRAWN = """<?xml version="1.0" encoding="utf-8" standalone="no"?>
<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">
<svg xmlns:xlink="http://www.w3.org/1999/xlink" width="90pt" height="80pt" viewBox="0 0 90 80"
 xmlns="http://www.w3.org/2000/svg" version="1.1">
 <metadata>elsewhere</metadata>
 <g id="axes_1" clip-path="url(#p1)"><use xlink:href="#m1"/><text>&lt;b&gt; id="x"</text></g>
 <defs><path id="m1"/><clipPath id="p1"/></defs>
 <g id="caption">{lines}</g>
</svg>"""
WRAPPED = (
    '<text transform="translate(9 60)">two</text><text transform="translate(9 69)">rows</text>'
)


def inlined(lines=WRAPPED, prefix="c0-"):
    return svg.inline(DRAWN.format(lines=lines), prefix, 'a "title"', "caption")


def test_ids_and_what_refers_to_them_have_the_prefix():
    """Text that looks like an id is left alone."""
    text = inlined()
    for part in ('id="c0-axes_1"', "url(#c0-p1)", 'href="#c0-m1"', 'id="c0-p1"', 'id="x"'):
        assert part in text
    assert "&lt;b&gt;" in text


def test_it_is_an_image_with_a_name_and_fills_its_place():
    """No size of its own."""
    root = ElementTree.fromstring(inlined())
    assert (root.get("role"), root.get("aria-label")) == ("img", 'a "title"')
    assert root.get("width") is None


def test_caption_and_metadata_are_left_out_with_the_space_they_took():
    """However many lines it had."""
    for lines in (WRAPPED, '<text x="9" y="60" transform="rotate(-0 9 60)">one</text>'):
        text = inlined(lines)
        assert "elsewhere" not in text
        assert "caption" not in text
        assert ElementTree.fromstring(text).get("viewBox") == "0 0 90 50"
