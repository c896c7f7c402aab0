"""Figures as SVG: small, the same bytes every time, and coloured by CSS variables.

matplotlib writes colours and fonts into style attributes. Here they become classes and attributes,
so that one picture suits light and dark pages.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET  # matplotlib's output is read, no stranger's

from initcheck.report import colours

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SVG, XLINK = "http://www.w3.org/2000/svg", "{http://www.w3.org/1999/xlink}"
NAMES = {value: name for name, value in colours.LIGHT.items()}
KEPT = {"fill-opacity", "stroke-opacity", "opacity", "stroke-width", "stroke-dasharray",
        "stroke-linecap", "stroke-linejoin", "text-anchor"}  # fmt: skip
PLACES = 1  # decimals of a coordinate, in points
SANS = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif"


def inline(figure: Figure, name: str, label: str) -> str:
    """An ``<svg>`` element for a page that has the classes of ``colours.rules``.

    Args:
        figure: drawn in the colours of ``colours.LIGHT``.
        name: of the picture; the start of every id in it.
        label: what it shows, for screen readers.
    """
    root = _cleaned(figure, name)
    root.set("class", "picture")
    root.set("aria-label", label)
    return _text(root)


def alone(figure: Figure, name: str, label: str) -> str:
    """A whole SVG file: light and dark as the reader's system is."""
    root = _cleaned(figure, name)
    title = ET.Element("title")
    title.text = label
    style = ET.Element("style")
    style.text = (
        f":root{{{colours.variables(colours.LIGHT)}}}"
        f"@media (prefers-color-scheme:dark){{:root{{{colours.variables(colours.DARK)}}}}}"
        f"text{{font-family:{SANS}}}{colours.rules()}"
    )
    left, top, width, height = root.attrib["viewBox"].split()
    back = ET.Element("rect", {"x": left, "y": top, "width": width, "height": height, "rx": "4"})
    back.set("class", "f-card")
    for place, element in enumerate((title, style, back)):
        root.insert(place, element)
    root.set("xmlns", SVG)
    root.set("width", width)
    root.set("height", height)
    return _text(root) + "\n"


def _text(root: ET.Element) -> str:
    """The element as text; `` />`` is only ever an end of a tag, since texts are escaped."""
    return ET.tostring(root, encoding="unicode").replace(" />", "/>")


def _cleaned(figure: Figure, name: str) -> ET.Element:
    """The figure's SVG without metadata, clips, style attributes and unused ids."""
    import matplotlib as mpl

    out = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        figure.savefig(out, format="svg", metadata={"Date": None}, transparent=True)
    root = ET.fromstring(out.getvalue())  # noqa: S314 -- matplotlib's own output
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{{{SVG}}}metadata", f"{{{SVG}}}style", f"{{{SVG}}}clipPath"):
                parent.remove(child)
    links = [each.get(f"{XLINK}href", "").removeprefix("#") for each in root.iter()]
    ids = {old: f"{name}-{n}" for n, old in enumerate(dict.fromkeys(filter(None, links)))}
    for element in root.iter():
        _clean(element, ids)
    _drop_empty(root)
    _unwrap(root)
    box = root.attrib["viewBox"]
    root.attrib.clear()
    root.attrib.update({"viewBox": box, "role": "img"})
    return root


def _clean(element: ET.Element, ids: Mapping[str, str]) -> None:
    element.tag = element.tag.removeprefix(f"{{{SVG}}}")
    given = dict(element.attrib)
    element.attrib.clear()
    classes: list[str] = []
    for key, value in given.items():
        if key == f"{XLINK}href":
            element.set("href", f"#{ids[value.removeprefix('#')]}")
        elif key == "id" and value in ids:
            element.set("id", ids[value])
        elif key == "style":
            classes += _styled(element, value)
        elif key not in ("id", "clip-path") and not value.startswith("rotate(-0 "):
            element.set(key, _short(value))
    if classes:
        element.set("class", " ".join(classes))
    element.tail = None
    if element.text and not element.text.strip():
        element.text = None


def _styled(element: ET.Element, style: str) -> Iterator[str]:
    """Give an element the attributes of its style, and yield the classes of its colours."""
    for part in filter(None, (each.strip() for each in style.split(";"))):
        key, _, value = (each.strip() for each in part.partition(":"))
        if key in ("fill", "stroke"):
            if value in NAMES:
                yield f"{'f' if key == 'fill' else 'k'}-{NAMES[value]}"
            else:
                element.set(key, value)
        elif key == "font-size":
            element.set(key, value.removesuffix("px"))
        elif key in KEPT:
            element.set(key, _short(value))


def _short(text: str) -> str:
    """The text with its decimal numbers rounded, and without line breaks."""
    rounded = re.sub(r"-?\d+\.\d+", lambda n: f"{round(float(n[0]), PLACES):g}", text)
    return re.sub(r"\s+", " ", rounded).strip()


def _drop_empty(element: ET.Element) -> None:
    for child in list(element):
        _drop_empty(child)
        empty = child.tag in ("g", "defs") and not len(child) and not child.get("id")
        if empty or (
            child.tag == "path" and child.get("fill") == "none" and not child.get("class")
        ):
            element.remove(child)


def _unwrap(element: ET.Element) -> None:
    """Replace groups that have no attributes by what is in them."""
    children = [*element]
    for child in children:
        _unwrap(child)
    if any(child.tag == "g" and not child.attrib for child in children):
        element[:] = [
            inner for child in children
            for inner in ([*child] if child.tag == "g" and not child.attrib else [child])
        ]  # fmt: skip
