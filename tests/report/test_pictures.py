"""Pictures: the same bytes every time, one axes or several, and no run that cannot be drawn."""

from __future__ import annotations

import math
import re
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pandas as pd
import pytest

from initcheck.report import colours
from initcheck.report.figures import figures
from initcheck.report.panels import COLUMNS, UnfitError
from initcheck.report.pictures import PANELS, PLOTS, svg
from tests.helpers.recorded_runs import good
from tests.helpers.results import example

ROOT = Path(__file__).parents[2]
EVERY = {picture.name: picture for picture in good().pictures}
each_picture = pytest.mark.parametrize("name", PANELS)
PLACES = ("width", "step", "layer", "depth", "lr", "low", "high")  # columns that are no result


@each_picture
def test_the_same_table_gives_the_same_bytes(name):
    assert svg(EVERY[name]) == svg(EVERY[name])


@each_picture
def test_a_picture_has_no_colour_style_or_address_of_its_own(name):
    text = svg(EVERY[name])
    root = ET.fromstring(text)  # noqa: S314 -- our own file
    assert not [e for e in root.iter() if "style" in e.attrib]
    assert not re.search(r"#[0-9a-f]{6}", text)
    assert "http" not in text
    assert root.attrib["role"] == "img"
    assert EVERY[name].title in root.attrib["aria-label"]
    used = {e.attrib["href"] for e in root.iter() if "href" in e.attrib}
    assert used <= {f"#{e.attrib['id']}" for e in root.iter() if "id" in e.attrib}


@each_picture
def test_the_pictures_of_the_docs_are_whole_files_for_both_themes(name):
    text = (ROOT / "docs" / "pictures" / f"{name}.svg").read_text("utf-8")
    root = ET.fromstring(text)  # noqa: S314 -- our own file
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "prefers-color-scheme:dark" in text
    assert float(root.attrib["width"]) > 300
    assert EVERY[name].title in root[0].text
    assert not re.search(r"e[+-]0|e[+]", root[0].text), "numbers are written as in all reports"


@each_picture
@pytest.mark.parametrize("value", [math.nan, math.inf, 0.0, 1e300, -1.0])
def test_a_run_with_any_numbers_is_drawn_without_warnings(name, value):
    picture = EVERY[name]
    places = [
        n for n, column in enumerate(picture.columns)
        if column not in PLACES and not isinstance(picture.rows[0][n], str)
    ]  # fmt: skip
    assert places
    rows = [[value if n in places else v for n, v in enumerate(row)] for row in picture.rows]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert svg(replace(picture, rows=rows)).startswith("<svg")


def test_axes_that_are_given_are_drawn_on_and_returned():
    from matplotlib.figure import Figure

    picture = EVERY["learning_curves"]
    frame = pd.DataFrame(picture.rows, columns=picture.columns)
    mine = [*Figure().subplots(2)]
    assert PLOTS[picture.name](frame, mine) == mine
    assert len(mine[0].lines) == 5
    with pytest.raises(ValueError, match="has 2 panels, and 1 axes were given"):
        PLOTS[picture.name](frame, mine[0])


def test_without_axes_a_figure_of_pyplot_is_opened():
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    picture = EVERY["width_transfer"]
    axes = PLOTS[picture.name](pd.DataFrame(picture.rows, columns=picture.columns))
    assert plt.fignum_exists(axes.figure.number)
    plt.close(axes.figure)


@pytest.mark.parametrize(
    "change",
    [
        {"columns": ["a", "b", "c"]},
        {"rows": [["x"]]},
        {"columns": []},
    ],
    ids=str,
)
def test_a_table_that_does_not_fit_is_said_and_not_drawn(change):
    picture = replace(EVERY["learning_curves"], **change)
    (shown,) = figures([replace(example(), pictures=[picture])], [])
    (drawing,) = shown["drawings"]
    assert drawing["svg"] == ""
    assert "Not drawn: The table does not fit the picture learning_curves" in drawing["text"]


@each_picture
def test_another_table_is_refused_with_the_columns_and_the_function_that_makes_one(name):
    needs = COLUMNS[name]
    for table in (pd.DataFrame({"a": [1]}), pd.DataFrame(columns=needs[1:]), 3):
        with pytest.raises(UnfitError, match=f"does not fit the picture {name}: it has no column"):
            PLOTS[name](table)
    from matplotlib.figure import Figure

    wrong = pd.DataFrame({each: ["x"] for each in needs})
    axes = [*Figure().subplots(PANELS[name][0], 1, squeeze=False)[:, 0]]
    with pytest.raises(UnfitError, match=rf"Draw what initcheck.gate.pictures.frame\('{name}'\)"):
        PLOTS[name](wrong, axes)
    assert set(needs) == set(EVERY[name].columns)


def test_a_picture_of_a_newer_release_is_a_table_alone():
    picture = replace(EVERY["width_transfer"], name="of_tomorrow")
    (shown,) = figures([replace(example(), pictures=[picture])], [])
    assert shown["drawings"][0]["svg"] == ""
    assert len(shown["drawings"][0]["rows"]) == 8


def test_light_and_dark_have_the_same_names_and_enough_contrast():
    def light(colour):
        channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    assert set(colours.LIGHT) == set(colours.DARK)
    for theme in (colours.LIGHT, colours.DARK):
        for name in set(theme) - {"paper", "card"}:
            for back in ("paper", "card"):
                high, low = sorted((light(theme[name]), light(theme[back])), reverse=True)
                assert (high + 0.05) / (low + 0.05) >= 4.5, (name, back)


def test_a_page_without_pictures_imports_no_matplotlib():
    code = (
        "import sys; from tests.helpers.results import example, passing; "
        "from initcheck.report.html import page; page(example(passing())); "
        "sys.exit('matplotlib' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
