"""The HTML page of an inspection."""

from __future__ import annotations

import re
from functools import partial

import pytest
import torch
from torch import nn

from initcheck import inspect_model
from initcheck.cli.main import main
from initcheck.inspection.page import CHART, number, page
from tests.inspection import faulty, innocent
from tests.inspection.faulty import CLASSES, rows


def features():
    return torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(3))


def total(module, batch):
    return module(batch).square().mean()


def test_each_layer_has_its_signals_its_histogram_and_its_step():
    text = page(inspect_model(innocent.zero_head, rows, name="<b>model</b>"))
    assert "&lt;b&gt;model" in text
    assert "<b>model" not in text
    assert text.count('class="layer"') == 2
    assert "step 2" in text  # the hidden layer, behind a head of zeros
    assert "Histogram of 0.weight" in text
    assert "all entries <b>0</b>" in text
    assert "Signals over the depth" in text


def test_findings_come_first_and_the_worst_on_top():
    text = page(inspect_model(faulty.TwoHeads, rows, name="model"))
    severities = re.findall(r'class="finding (\w+)"', text)
    assert severities == sorted(severities)  # fail, note, warn: the first is a fail
    assert severities[0] == "fail"
    assert text.index('id="found"') < text.index('id="layers"')


def test_the_page_needs_no_other_file_and_no_network():
    text = page(inspect_model(innocent.zero_head, rows))
    assert not re.search(r"(src|href)=|@import|url\(|https?://", text)
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text
    pictures = re.findall(r"<svg[^>]*>", text)
    assert pictures
    assert all('role="img"' in each and "aria-label=" in each for each in pictures)


def test_a_layer_that_is_not_called_leaves_no_gap_in_the_line():
    text = page(inspect_model(partial(nn.TransformerEncoderLayer, 8, 2, 16), features, loss=total))
    assert text.count('class="layer"') == 6
    (points,) = re.findall(r'<polyline class="forward" points="([^"]*)"', text)
    places = [float(each.partition(",")[0]) for each in points.split()]
    assert len(places) == 5  # the projection inside attention is not called as a module
    step = places[1] - places[0]
    assert places[-1] + step / 2 == pytest.approx(712, abs=1)  # the right end of the drawing


def test_paper_keeps_the_columns_and_shows_folded_names():
    text = page(inspect_model(innocent.zero_head, name="model"))
    assert "@media screen and (max-width" in text
    paper = text.partition("@media print")[2]
    assert "details-content" in paper
    assert "print-color-adjust: exact" in paper


def test_without_a_batch_there_are_histograms_alone():
    text = page(inspect_model(lambda: nn.Linear(8, CLASSES), name="model"))
    assert "Signals over the depth" not in text
    assert "Histogram of weight" in text
    assert "it needs a batch" in text


def test_two_hundred_layers_stay_below_three_megabytes():
    def build():
        return nn.Sequential(*(nn.Linear(8, 8) for _ in range(200)))

    assert len(page(inspect_model(build, name="deep"))) < 3_000_000


@pytest.mark.parametrize(
    ("value", "text"), [(None, "-"), (float("nan"), "-"), (1.5e-9, "1.5e-9"), (2e12, "2e12")]
)
def test_numbers_are_short(value, text):
    assert number(value) == text


def test_the_command_writes_the_page(tmp_path, monkeypatch, capsys):
    (tmp_path / "page_model.py").write_text(
        "from torch import nn\ndef build(): return nn.Linear(3, 2)\n"
    )
    monkeypatch.chdir(tmp_path)
    assert main(["inspect", "page_model:build", "--html", "start.html"]) == 0
    assert "page_model:build" in (tmp_path / "start.html").read_text()
    assert main(["inspect", "page_model:build", "--html", "nowhere/start.html"]) == 4
    assert "There is no folder" in capsys.readouterr().err


def test_numbers_of_the_decades_are_not_cut():
    """On narrow screens a number is 20 units high: half of it must be inside of the drawing."""
    text = page(inspect_model(innocent.zero_head, rows))
    places = [float(each) for each in re.findall(r'<text x="58" y="([0-9.]+)"', text)]
    assert places
    assert min(places) >= 15
    assert max(places) <= CHART[1] - 15
