"""The page without a mouse and without sight: what Tab reaches, and what a screen reader says."""

from __future__ import annotations

import pytest

from initcheck.report.html import page
from initcheck.report.pictures import PANELS
from tests.helpers import browser, devtools
from tests.helpers.recorded_runs import faulty, good

PRESSES = 400  # of Tab, at most
# What has the focus, and whether a person sees that.
FOCUSED = """(() => {
  const it = document.activeElement, box = it.getBoundingClientRect(), style = getComputedStyle(it);
  return {
    tag: it.tagName, text: it.textContent.trim().slice(0, 40), open: it.closest('details')?.open,
    outline: style.outlineStyle === 'none' ? 0 : parseFloat(style.outlineWidth),
    seen: box.width > 1 && box.bottom > 0 && box.top < innerHeight,
    clipped: style.clipPath !== 'none',
  };
})()"""
REACHABLE = """[...document.querySelectorAll('a[href], summary, [tabindex="0"]')]
  .filter((each) => each.checkVisibility({contentVisibilityAuto: true})).length"""
SIZES = """[...document.querySelectorAll('figure[id] .drawings > div')].map((each) => [
  each.querySelector('svg.picture')?.getAttribute('role'),
  each.querySelector('.caption').textContent.trim().length,
  each.querySelectorAll('table tr').length,
  each.querySelectorAll('table th[scope=col]').length,
])"""


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """A page of a run under a fault, open in the browser."""
    browser.chromium()
    folder = tmp_path_factory.mktemp("keyboard")
    file = folder / "page.html"
    file.write_text(page(faulty()[0]), encoding="utf-8")
    with devtools.page(folder / "profile") as opened:
        opened.open(file, width=1280)
        yield opened


def test_tab_reaches_every_control_once_and_shows_where_it_is(shown):
    count = shown.value(REACHABLE)
    assert 30 < count < PRESSES
    stops = []
    for _ in range(count):
        shown.press("Tab")
        stops.append(shown.value(FOCUSED))
    assert stops[0]["text"] == "Skip to the results"
    assert {stop["tag"] for stop in stops} == {"A", "SUMMARY", "DIV"}
    for stop in stops:
        assert stop["outline"] >= 2, stop
        assert stop["seen"], stop
        assert not stop["clipped"], stop


def test_enter_on_the_skip_link_leads_past_the_links(shown):
    shown.value("document.activeElement.blur(); window.scrollTo(0, 0)")
    shown.value("document.querySelector('.skip').focus()")
    shown.press("Enter")
    assert shown.value("location.hash") == "#main"
    shown.press("Tab")
    assert shown.value("document.querySelector('main').contains(document.activeElement)")


@pytest.mark.parametrize("key", ["Enter", " "])
def test_a_key_opens_and_closes_the_table_of_a_picture(shown, key):
    shown.value("document.querySelector('figure[id] summary').focus()")
    for state in (True, False):
        shown.press(key)
        assert shown.value(FOCUSED)["open"] is state


def test_every_picture_has_a_text_and_a_table(shown):
    drawn = [picture for picture in faulty()[0].pictures if picture.rows]
    assert len(drawn) == len(PANELS)
    found = shown.value(SIZES)
    assert len(found) == len(faulty()[0].pictures)
    for picture, (role, letters, rows, columns) in zip(faulty()[0].pictures, found, strict=True):
        assert role == "img"
        assert letters > 100
        assert (rows, columns) == (len(picture.rows) + 1, len(picture.columns))


def test_a_screen_reader_finds_names_of_pictures_headings_and_regions(shown):
    nodes = shown.send("Accessibility.getFullAXTree")["nodes"]
    names = {}
    for node in nodes:
        if not node.get("ignored"):
            role, name = node["role"]["value"], node.get("name", {}).get("value", "")
            names.setdefault(role, []).append(name)
    pictures = [name for name in names["image"] if name]
    assert len(pictures) == len(names["image"]) >= len(PANELS)
    titles = {picture.title for picture in good().pictures}
    assert titles <= set(names["figure"])
    assert titles <= set(names["heading"])
    assert all(names["link"])
    assert all(names["region"])
    assert "Parts of this page" in names["navigation"]
    assert len(names["main"]) == 1
    assert shown.errors == []


def test_verdicts_in_the_matrix_keep_their_colours_on_paper(tmp_path):
    """Their words are white, and printers leave backgrounds out unless they are asked for."""
    browser.chromium()
    file = tmp_path / "page.html"
    file.write_text(page(*faulty()), encoding="utf-8")
    with devtools.page(tmp_path / "profile") as opened:
        opened.open(file, width=1280, theme="dark")
        opened.send("Emulation.setEmulatedMedia", media="print")
        found = opened.value(
            "[...document.querySelectorAll('.matrix .verdict:not(.pass)')].map((each) => {"
            " const style = getComputedStyle(each);"
            " return [style.color, style.backgroundColor, style.printColorAdjust] })"
        )
    assert len(found) > 5
    assert {adjust for *_, adjust in found} == {"exact"}
    assert all(colour == "rgb(255, 255, 255)" != background for colour, background, _ in found)
