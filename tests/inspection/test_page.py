"""The HTML page of an inspection."""

from __future__ import annotations

import re

import pytest
from torch import nn

from initcheck import inspect_model
from initcheck.cli.main import main
from initcheck.inspection.page import number, page
from tests.inspection import faulty, innocent
from tests.inspection.faulty import CLASSES, rows


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
