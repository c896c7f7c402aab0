"""A comparison of initializers as text, as JSON and as a picture."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import pytest

from initcheck.cli.compare_init import table
from initcheck.cli.compare_init.shown import Setting, as_json, as_svg, as_text
from initcheck.cli.compare_init.table import Row, compare
from initcheck.initializers import every, he_normal_, zeros_

SETTING = Setting("relu", 2)
ROWS = [
    Row("plain", "mine <&>", "He, 2 / fan-in", -0.13, 0.1, 1.0, 1e-3, (0.25, 0.75)),
    Row("plain", "broken", trouble="ValueError: no luck"),
    Row("residual", "mine <&>", "zero", None, None, 0.5),
]


def test_text_has_a_table_per_regime():
    text = as_text(ROWS, SETTING)
    plain, residual = text.split("\n\n")[1:]
    assert plain.startswith("plain:\nstart")
    assert residual.startswith("residual:\nstart")
    line = "mine <&>  He, 2 / fan-in   -0.13     +0.10      100%     0.500  0.250..0.750  0.001"
    assert line in plain
    assert "broken could not be judged: ValueError: no luck" in plain


def test_json_has_the_same_numbers():
    found = json.loads(as_json(ROWS, SETTING))
    assert found["setting"]["activation"] == "relu"
    assert found["rows"][0]["accuracy"] == 0.5
    assert found["rows"][0]["accuracies"] == [0.25, 0.75]
    assert found["rows"][2]["signal"] is None


def test_picture_is_valid_and_has_a_dot_per_seed():
    root = ET.fromstring(as_svg(ROWS, SETTING))  # noqa: S314 -- written here
    space = "{http://www.w3.org/2000/svg}"
    dots = [float(dot.get("cx")) for dot in root.iter(f"{space}circle")]
    assert dots == [675.0, 825.0]
    texts = [text.text for text in root.iter(f"{space}text")]
    assert "mine <&>" in texts
    assert max(float(t.get("y")) for t in root.iter(f"{space}text")) < float(
        root.get("viewBox").split()[3]
    )


def raises_(tensor, generator):
    raise RuntimeError("no luck")


def test_rows_of_one_regime(monkeypatch):
    """Two starts with equal and with distinct units, and one that raises."""
    monkeypatch.setattr(table, "REGIMES", {"embedding": table.REGIMES["embedding"]})
    monkeypatch.setattr(table, "USUAL", (every(he_normal_, name="He"),))
    monkeypatch.setattr(table, "STEPS", 2)
    broken, zero, he = compare([every(raises_), every(zeros_, zeros_, "zero")], count=2)
    assert broken == Row("embedding", "raises_", trouble=broken.trouble)
    assert "raised RuntimeError: no luck (line " in broken.trouble
    assert (zero.law, zero.signal, zero.distinct) == ("zero", None, 0.0)
    assert (he.law, he.distinct) == ("He, 2 / fan-in", 1.0)
    assert he.rate in table.RATES
    assert len(he.accuracies) == 2
    assert he.accuracy == pytest.approx(sum(he.accuracies) / 2)
