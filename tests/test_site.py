"""The site of the pages, built and opened in a browser: it fits, has no error, needs no script."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.helpers import browser, devtools

ROOT = Path(__file__).parents[1]
SCROLL = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
# Texts whose colour has a contrast below 4.5 to the colour behind them.
PALE = """(() => {
  const parse = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = (colour) => {
    const [r, g, b] = colour.slice(0, 3).map((c) => {
      const share = c / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const colour = parse(getComputedStyle(each).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  return [...document.querySelectorAll('body *')].filter((element) => {
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !element.checkVisibility()) return false;
    const [one, two] = [light(parse(getComputedStyle(element).color)), light(behind(element))];
    return (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05) < 4.5;
  }).map((element) => element.textContent.trim().slice(0, 40));
})()"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the built site."""
    if find_spec("mkdocs") is None:
        pytest.skip("mkdocs is not installed. nox -s docs installs it and runs this test.")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir"]
    subprocess.run([*command, str(folder)], cwd=ROOT, check=True, timeout=300)
    return folder


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """A browser without a page."""
    browser.chromium()
    with devtools.page(tmp_path_factory.mktemp("profile")) as page:
        yield page


def problems(opened, file, *, width, theme):
    """What is wrong with a page at a width, in a theme."""
    opened.errors.clear()
    opened.open(file, width=width, theme=theme)
    # A phone makes its window wider for a page that does not fit, and then nothing scrolls.
    wider = opened.value(SCROLL) + opened.value("innerWidth") - width
    found = [f"{wider} px too wide"] if wider else []
    return found + [f"pale: {text}" for text in opened.value(PALE)] + opened.errors


@pytest.mark.parametrize(("width", "theme"), [(400, "light"), (400, "dark"), (1280, "light")])
def test_every_page_fits_its_window_and_has_no_error(site, opened, width, theme):
    files = sorted(site.rglob("*.html"))
    assert len(files) == len([*(ROOT / "docs").rglob("*.md")])
    found = {
        str(file.relative_to(site)): problems(opened, file, width=width, theme=theme)
        for file in files
    }
    assert {name: texts for name, texts in found.items() if texts} == {}


def test_no_page_needs_a_script_or_another_site(site, opened):
    opened.open(site / "mechanisms" / "symmetry.html", width=1280)
    loaded = "[...document.querySelectorAll('[src], link')].map((each) => each.src || each.href)"
    names = [name for name in opened.value(loaded) if not name.startswith("data:")]
    assert len(names) > 1
    assert [name for name in names if not name.startswith(site.as_uri())] == []
    assert opened.value("document.scripts.length") == 0
    pictures = opened.value("[...document.images].map((each) => each.naturalWidth)")
    assert pictures
    assert min(pictures) > 100


def test_each_page_leads_to_all_others(site, opened):
    count = len([*(ROOT / "docs").rglob("*.md")])
    for name in ("index.html", "tutorials/why-not-zero.html"):
        opened.open(site / name, width=1280)
        links = "[...document.querySelectorAll('nav.pages a')].map((each) => each.href)"
        targets = opened.value(links)
        assert len(set(targets)) == count
        assert all(Path(target.removeprefix("file://")).is_file() for target in targets)


def test_a_page_with_every_fault_is_found(opened, tmp_path):
    file = tmp_path / "broken.html"
    file.write_text(
        '<meta name="viewport" content="width=device-width"><p style="color:#bbb">too pale</p>'
        '<pre style="width:700px">too wide</pre><script>nothing.here</script>',
        encoding="utf-8",
    )
    wide, pale, error = problems(opened, file, width=400, theme="light")
    assert wide.endswith(" px too wide")
    assert pale == "pale: too pale"
    assert "nothing is not defined" in error
