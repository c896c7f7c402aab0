"""The results file keeps every value, and a wrong one is named with its place."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import pytest

from initcheck.results import ORDER, ResultsError, read, validate, worst, write
from tests.helpers.results import example, invalid, passing


@pytest.fixture
def path(tmp_path):
    return tmp_path / "results.json"


def test_results_are_read_as_written(path):
    results = example(passing())
    results["results"][0]["seconds"] = 0.1 + 0.2
    write(path, results)
    assert read(path) == results


def test_values_that_are_not_finite_are_read_as_written(path):
    claim = invalid()
    claim["probes"][0]["control"] = [math.nan, math.inf, -math.inf, 1e-320]
    write(path, example(claim))
    control = read(path)["results"][0]["probes"][0]["control"]
    assert repr(control) == "[nan, inf, -inf, 1e-320]"
    assert '"-Infinity"' in path.read_text()


def test_a_text_that_reads_nan_stays_a_text(path):
    claim = invalid() | {"message": "NaN", "statement": "Infinity"}
    write(path, example(claim))
    result = read(path)["results"][0]
    assert (result["message"], result["statement"]) == ("NaN", "Infinity")


def test_the_same_results_give_the_same_bytes_whatever_their_order(path):
    results = example()
    write(path, results)
    first = path.read_bytes()
    write(path, dict(reversed(list(results.items()))))
    assert path.read_bytes() == first


def test_numpy_values_are_written_as_numbers(path):
    numpy = pytest.importorskip("numpy")
    claim = passing()
    claim["probes"][0]["treated"] = [numpy.float32(0.5), numpy.float64("nan")]
    write(path, example(claim))
    assert repr(read(path)["results"][0]["probes"][0]["treated"]) == "[0.5, nan]"


def test_a_wrong_result_leaves_the_old_file_alone(path):
    write(path, example())
    before = path.read_bytes()
    with pytest.raises(ResultsError, match=r"\$\.results\[0\]\.verdict"):
        write(path, example(passing() | {"verdict": "passed"}))
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["results.json"]


@pytest.mark.parametrize(
    ("place", "value"),
    [("verdict", "passed"), ("kind", "theory"), ("seconds", "fast"), ("device", "")],
)
def test_a_wrong_field_of_a_claim_is_named(place, value):
    with pytest.raises(ResultsError, match=rf"at \$\.results\[0\]\.{place}: ") as caught:
        validate(example(passing() | {place: value}))
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("verdict", "drift"),
        ("form", "hold"),
        ("stage", 3),
        ("margin_unit", "decade"),
        ("limit", {"maximum": 1}),
        ("treated", ["nan"]),
        ("drift", {"treated": {"verdict": "same"}}),
        ("drift", {"treated": {"first_stage": 3}}),
        ("p", 0.3),
    ],
)
def test_a_wrong_field_of_a_probe_is_named(place, value):
    claim = passing()
    claim["probes"][1][place] = value
    with pytest.raises(ResultsError, match=r"at \$\.results\[0\]\.probes\[1\]"):
        validate(example(claim))


def test_a_missing_field_is_named():
    claim = passing()
    del claim["statement"]
    with pytest.raises(ResultsError, match="'statement' is a required property"):
        validate(example(claim))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"schema": 1,\n  oops}', "is not JSON at line 2, column 3"),
        ('{"schema": NaN}', 'is not JSON: it has a bare NaN, not "NaN"'),
        ('{"schema": 2}', "has schema 2, and this initcheck reads schema 1"),
        ("[]", r"does not fit the schema at \$: \[\] is not of type 'object'"),
        ("{}", "does not fit the schema"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(path, text, sentence):
    path.write_text(text)
    with pytest.raises(ResultsError, match=sentence) as caught:
        read(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_says_what_writes_one(path):
    with pytest.raises(ResultsError, match="does not exist; `pytest benchmarks --initcheck-json"):
        read(path)


def test_what_is_no_text_file_says_so(path):
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ResultsError, match="it is not UTF-8"):
        read(path)
    with pytest.raises(ResultsError, match="cannot be read"):
        read(path.parent)


def test_the_worst_verdict_wins_and_nothing_is_not_green():
    assert worst(["pass", "drifted", "inconclusive"]) == "drifted"
    assert worst(ORDER) == "invalid"
    assert worst(["pass", "pass"]) == "pass"
    assert worst([]) == "invalid"


def test_the_written_file_is_plain_json(path):
    write(path, example())
    assert json.loads(path.read_text(), parse_constant=pytest.fail)["schema"] == 1


def test_reports_are_imported_without_the_slow_libraries():
    modules = [
        "results",
        *(f"report.{name}" for name in ("compare", "html", "markdown", "failure", "terminal")),
    ]
    code = f"""
import sys
for name in {modules}:
    __import__("initcheck." + name)
slow = {{"torch", "numpy", "scipy", "pandas", "matplotlib", "jinja2", "jsonschema"}}
print(sorted(slow & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr.strip()) == ("[]", "")
