"""Pages in a real browser: pictures, console, width, contrast, texts that are cut or overlap."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from functools import cache

import pytest

from initcheck.report.html import page
from initcheck.report.pictures import PANELS
from initcheck.results import Comparison, Run
from tests.helpers import browser
from tests.helpers.recorded_runs import faulty, good

THREE, TWO = "three faults", "two releases of torch"
BYTES = 3_000_000
# Of a whole run on one device: 297 items, with 6.7 values per arm on average (2,794 in 415
# comparisons of 272 items, as counted in a run of 2026-11-28).
CLAIMS, VALUES = 300, 7


@cache
def pages() -> dict[str, str]:
    """A page of three runs, each under a fault, and a page of one run under two releases."""
    run = good()
    newer = replace(run, environment=replace(run.environment, torch="2.15.0"))
    drifted = next(result for result in faulty()[0].results if result.verdict == "drifted")
    changed = [drifted if result.id == drifted.id else result for result in run.results]
    return {THREE: page(*faulty()), TWO: page(run, replace(newer, results=changed))}


@pytest.fixture(scope="module", params=[THREE, TWO])
def shown(request, tmp_path_factory):
    """What the browser measures on one of the pages, by width and theme."""
    browser.chromium()
    return browser.measured(pages()[request.param], tmp_path_factory.mktemp("browser"))


def test_every_picture_has_a_size_and_lines(shown):
    for found in shown.values():
        drawn = {name for name, *_ in found["pictures"]}
        assert drawn == set(PANELS)
        for name, width, height, shapes, texts in found["pictures"]:
            assert width > 250, name
            assert height > 100, name
            assert shapes > 10, name
            assert texts > 5, name


def test_nothing_scrolls_sideways_at_any_width(shown):
    assert {width: found["width"] for (width, _), found in shown.items()} == {400: 400, 1280: 1280}
    for found in shown.values():
        assert found["scroll"] == 0
        assert found["narrow"] == []


def test_text_and_lines_have_enough_contrast_in_both_themes(shown):
    for found in shown.values():
        assert found["count"] > 300
        assert found["strokes"] > 300
        assert found["texts"] == []
        assert found["lines"] == []


def test_no_text_of_a_picture_is_cut_or_covers_another(shown):
    for found in shown.values():
        assert found["cut"] == []
        assert found["overlapping"] == []


@pytest.mark.parametrize("name", [THREE, TWO])
def test_the_console_stays_empty(name, tmp_path):
    browser.chromium()
    assert browser.console(pages()[name], tmp_path) == []


@pytest.mark.parametrize("name", [THREE, TWO])
def test_a_page_is_small_and_has_a_text_for_each_picture(name):
    text = pages()[name]
    assert len(text.encode()) < BYTES
    labels = re.findall(
        r'<svg viewBox="[^"]*" role="img" class="picture" aria-label="([^"]*)"', text
    )
    assert len(labels) >= len(PANELS)
    assert all(re.search(r"\d", label) for label in labels)


def whole(run: Run, seed: int) -> Run:
    """A run of as many claims as the whole gate has, whose values differ from run to run."""
    chance = random.Random(seed)  # noqa: S311 -- no secret
    copies = [
        replace(
            result, claim=f"{result.claim}_{n}", id=f"{result.claim}_{n}[cpu]",
            seconds=chance.random(), probes=[_moved(probe, chance) for probe in result.probes],
        )
        for n in range(CLAIMS // len(run.results) + 1) for result in run.results
    ]  # fmt: skip
    pictures = [
        replace(each, rows=[[_near(value, chance) for value in row] for row in each.rows])
        for each in good().pictures
    ]
    return replace(run, results=copies[:CLAIMS], pictures=pictures)


def _near(value, chance):
    return value * chance.uniform(0.99, 1.01) if isinstance(value, float) else value


def _moved(probe: Comparison, chance: random.Random) -> Comparison:
    both = (probe.treated[:VALUES], probe.control[:VALUES])
    sides = ([_near(value, chance) for value in each] for each in both)
    return replace(probe, **dict(zip(("treated", "control"), sides, strict=True)))


def test_a_page_of_four_whole_runs_is_small():
    """All four differ in all values and pictures, and three are red in many claims."""
    runs = [whole(run, seed) for seed, run in enumerate([good(), *faulty()])]
    assert [len(run.results) for run in runs] == [CLAIMS] * 4
    text = page(*runs)
    assert text.count("<svg viewBox") == 4 * len(PANELS)
    assert BYTES / 2 < len(text.encode()) < BYTES


def test_two_releases_are_columns_of_one_matrix():
    text = pages()[TWO]
    assert "<span>torch 2.14.1</span>" in text.replace("+cu130", "")
    assert "<span>torch 2.15.0</span>" in text
    row = re.search(r'<tr><th scope="row"><a href="#claim-\d+">.*?</a></th>(.*?)</tr>', text)
    assert row
    assert re.findall(r">(\w+)</span>", row[1]) == ["pass", "drifted"]
    assert re.findall(r"r&nbsp;([\d.]+)", row[1])[-1] == "1300"


# --- the measurements themselves can fail ---------------------------------------------------------

BROKEN = """<!doctype html><meta http-equiv="Content-Security-Policy" content="x"><style>
@media (prefers-color-scheme: dark) { body { background: #000; color: #222 } } p { color: #bbb }
</style><body><p>pale text on white</p><div style="width:700px">wide</div>
<figure id="f"><svg class="picture" viewBox="0 0 100 50" width="100">
<text x="90" y="20">cut at the right</text><text x="80" y="22">overlapping</text>
<path d="M 0 0 L 50 50" stroke="#eee"/></svg></figure></body>"""


def test_a_page_with_every_fault_fails_every_measurement(tmp_path):
    browser.chromium()
    found = browser.measured(BROKEN, tmp_path)
    light = found[400, "light"]
    assert [words for _, words in light["texts"]] == ["pale text on white"]
    assert light["scroll"] > 200
    assert light["narrow"] == ["wide"]
    assert len(light["lines"]) == 1
    assert light["cut"]
    assert light["overlapping"]
    assert found[1280, "light"]["scroll"] == 0
    assert "wide" in [words for _, words in found[1280, "dark"]["texts"]]


def test_an_error_on_the_console_is_seen(tmp_path):
    browser.chromium()
    assert browser.console("<script>console.error('oh')</script>", tmp_path)
