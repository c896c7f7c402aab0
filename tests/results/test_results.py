"""The results file keeps every value, and a wrong one is named with its place."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace

import pytest

from initcheck import results
from initcheck.results import ORDER, ResultsError, from_plain, read, to_plain, worst, write
from initcheck.stats import decisions
from tests.helpers.results import drift, example, invalid, passing, probe, result


@pytest.fixture
def path(tmp_path):
    return tmp_path / "results.json"


def with_plain(path, change):
    """A results file in which ``change`` was made to the plain data of the first claim."""
    plain = to_plain(example(passing()))
    change(plain["results"][0])
    path.write_text(json.dumps(plain), encoding="utf-8")
    return path


def test_results_are_read_as_written(path):
    lacking = probe(drift={"treated": drift("stale", r=None), "control": drift(r=None)})
    run = example(replace(passing(), seconds=0.1 + 0.2), result("lacking", lacking))
    write(path, run)
    back = read(path)
    assert back.results[0] == run.results[0]
    assert back.results[1].probes[0].drift["control"] == drift(r=None)
    assert back.results[1].probes[0].drift["treated"] == results.Drift(verdict="stale")
    assert (back.environment, back.settings) == (run.environment, run.settings)


def test_values_that_are_not_finite_are_read_as_written(path):
    bad = probe("invalid", control=[math.nan, math.inf, -math.inf, 1e-320])
    write(path, example(result("bad", bad)))
    assert repr(read(path).results[0].probes[0].control) == "[nan, inf, -inf, 1e-320]"
    assert '"-Infinity"' in path.read_text()


def test_an_infinite_distance_of_a_tensor_is_read_as_written(path):
    far = drift("left", r=math.inf, loss_r=math.nan, tensor="fc1.bias", tensor_r=math.inf)
    write(path, example(result("far", probe("drifted", drift={"treated": far}))))
    assert repr(read(path).results[0].probes[0].drift["treated"]) == repr(far)


def test_a_drift_of_an_older_release_has_no_tensor(path):
    run = example(result("old", probe(drift={"treated": drift(r=0.5)})))
    plain = to_plain(run)
    for key in ("loss_r", "tensor", "tensor_r"):
        del plain["results"][0]["probes"][0]["drift"]["treated"][key]
    path.write_text(json.dumps(plain))
    back = read(path).results[0].probes[0].drift["treated"]
    assert (back.r, back.loss_r, back.tensor, back.tensor_r) == (0.5, None, None, None)


def test_a_text_that_reads_nan_stays_a_text(path):
    write(path, example(replace(invalid(), message="NaN", statement="Infinity")))
    claim = read(path).results[0]
    assert (claim.message, claim.statement) == ("NaN", "Infinity")


def test_a_claim_is_the_same_after_it_was_shipped_as_plain_data():
    """As from an xdist worker, whose channel takes nothing else."""
    for claim in example().results:
        plain = json.loads(json.dumps(to_plain(claim), allow_nan=False))
        assert repr(from_plain(plain)) == repr(claim)


def test_keys_of_the_file_are_those_of_schema_1(path):
    write(path, example(passing()))
    plain = json.loads(path.read_text())
    assert set(plain) == {
        "schema", "environment", "settings", "results", "exit_status", "not_judged", "date",
        "commit", "pictures",
    }  # fmt: skip
    assert plain["environment"]["matmul precision"] == "highest"
    (claim,) = plain["results"]
    assert set(claim) == {
        "claim", "id", "node", "device", "kind", "source", "statement", "verdict", "seconds",
        "probes", "message", "known",
    }  # fmt: skip
    assert set(claim["probes"][0]) == {
        "probe", "case", "unit", "form", "kind", "why", "fault", "limit", "verdict", "reason",
        "stage", "seeds", "treated", "control", "treated_name", "control_name",
            "reference_name", "margin",
        "margin_unit", "p_value", "drift",
    }  # fmt: skip


def test_a_drift_has_the_keys_of_what_was_compared():
    """An envelope has its keys even where there is no r; outcomes have all of theirs or none."""
    envelope = {
        "verdict", "environment", "r", "loss_r", "first_step", "tensor", "tensor_r", "first_layer",
        "note",
    }  # fmt: skip
    outcomes = {
        "moved", "transform", "mean", "recorded_mean", "recorded_std", "recorded_n", "allowed",
        "detectable_shift",
    }  # fmt: skip
    assert set(to_plain(results.Drift(verdict="no evidence"))) == {"verdict"}
    assert set(to_plain(results.Drift(verdict="unchanged"))) == envelope
    assert set(to_plain(drift(detectable_shift=None))) == envelope | outcomes


def test_a_file_of_an_older_release_is_read(path):
    """It says neither how the run ended nor when."""
    plain = to_plain(example(passing()))
    for key in ("exit_status", "not_judged", "date", "commit"):
        del plain[key]
    path.write_text(json.dumps(plain))
    run = read(path)
    assert (run.exit_status, run.not_judged, run.unfinished) == (None, [], "")


def test_an_unfinished_run_says_what_is_missing():
    lost = [results.NotJudged(id=f"claim{n}", reason="the run ended before it") for n in range(12)]
    skipped = results.NotJudged(id="far", reason="no data", skipped=True)
    assert example().unfinished == replace(example(), not_judged=[skipped]).unfinished == ""
    assert replace(example(), exit_status=2).unfinished.endswith(": it was interrupted.")
    sentence = replace(example(), not_judged=[*lost, skipped]).unfinished
    assert "12 of 18 claims were not judged: claim0 (the run ended before it), claim1" in sentence
    assert sentence.endswith("claim9 (the run ended before it), others.")


def test_other_keys_of_environment_and_settings_are_ignored(path):
    plain = to_plain(example(passing()))
    plain["environment"]["moon phase"] = plain["settings"]["mood"] = "full"
    path.write_text(json.dumps(plain))
    assert read(path).results == [passing()]


def test_numpy_values_are_written_as_numbers(path):
    numpy = pytest.importorskip("numpy")
    bad = probe(treated=[numpy.float32(0.5), numpy.float64("nan")])
    write(path, example(result("bad", bad)))
    assert repr(read(path).results[0].probes[0].treated) == "[0.5, nan]"


def test_a_wrong_result_leaves_the_old_file_alone(path):
    write(path, example())
    before = path.read_bytes()
    with pytest.raises(ResultsError, match=r"\$\.results\[0\]\.verdict"):
        write(path, example(replace(passing(), verdict="passed")))
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["results.json"]


@pytest.mark.parametrize(
    ("place", "value"),
    [("verdict", "passed"), ("kind", "theory"), ("seconds", "fast"), ("device", "")],
)
def test_a_wrong_field_of_a_claim_is_named(path, place, value):
    with pytest.raises(ResultsError, match=rf"at \$\.results\[0\]\.{place}: ") as caught:
        read(with_plain(path, lambda claim: claim.update({place: value})))
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
        ("drift", {"treated": {"r": 3.0}}),
        ("drift", {"treated": {"verdict": "left", "first_stage": 3}}),
        ("p", 0.3),
    ],
)
def test_a_wrong_field_of_a_comparison_is_named(path, place, value):
    with pytest.raises(ResultsError, match=r"at \$\.results\[0\]\.probes\[1\]"):
        read(with_plain(path, lambda claim: claim["probes"][1].update({place: value})))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("settings", "device"), 5),
        (("settings", "init"), [1]),
        (("settings", "contract"), {}),
        (("settings", "judge"), "none"),
        (("environment", "devices"), [5]),
        (("environment", "threads"), "many"),
        (("not_judged",), [{"id": "a"}]),
        (("exit_status",), "0"),
        (("date",), 5),
    ],
)
def test_a_wrong_field_of_a_run_is_named(path, place, value):
    plain = to_plain(example(passing()))
    inner = plain
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    path.write_text(json.dumps(plain))
    with pytest.raises(ResultsError, match=rf"at \$\.{place[0]}"):
        read(path)


def test_a_missing_field_is_named(path):
    with pytest.raises(ResultsError, match="'statement' is a required property"):
        read(with_plain(path, lambda claim: claim.pop("statement")))


@pytest.mark.parametrize(
    ("claim", "name", "mechanism"),
    [
        (result("a", parameters="relu"), "a[relu]", "examples"),
        (result("a", parameters="float32-adam", device="cuda:0"), "a[float32-adam]", "examples"),
        (result("a", node="/claims/test_residual_rank.py::test_a"), "a", "residual rank"),
    ],
)
def test_a_claim_has_a_name_with_its_parameters_and_a_mechanism(claim, name, mechanism):
    assert (claim.name, claim.mechanism) == (name, mechanism)


@pytest.mark.parametrize(
    ("arm", "reason", "outcomes"),
    [
        (drift("left", r=12345.0, first_step=16, first_layer="fc2", moved=False),
         "it left its rounding envelope at step 16, first in fc2 (r = 12300, 10 allowed)",
         "unmoved (+0.0 standard deviations)"),
        (drift("left", r=531.0, first_step=2, mean=None),
         "it left its rounding envelope at step 2 (r = 531, 10 allowed)", "not compared"),
        (drift("left", r=531.0, loss_r=1.25, first_step=0, tensor="fc2.weight", tensor_r=62.44,
               first_layer="fc2", mean=None),
         ("it left its rounding envelope at step 0 in fc2.weight by 62.4 envelopes, first in fc2 "
          "(r = 531, of its losses alone 1.25, 10 allowed)"), "not compared"),
        (drift("moved", mean=0.8, moved=True),
         "it no longer has its recorded distribution", "moved by +2.1 standard deviations"),
        (drift("changed start", first_layer="fc1", mean=None),
         ("it starts from other values, first in fc1, although the torch release is the recorded "
          "one"),
         "not compared"),
        (drift("other start", mean=None), "it sees other images first", "not compared"),
        (drift("alike", mean=None),
         "all seeds of it are identical, and they differed when recorded", "not compared"),
    ],
)  # fmt: skip
def test_a_drift_gives_its_reason_once_with_its_numbers(arm, reason, outcomes):
    assert arm.reason("it") == f"{reason}; outcomes {outcomes}"


@pytest.mark.parametrize("verdict", ["unchanged", "stale", "no evidence"])
def test_an_arm_that_has_not_drifted_gives_no_reason(verdict):
    assert drift(verdict).reason("it") == ""


def test_constants_are_those_of_the_gate():
    from initcheck.envelope import compare

    assert results.GAIN_P == decisions.GAIN_P
    assert results.ENVELOPE_LIMIT == compare.FACTOR


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"schema": 1,\n  oops}', "is not JSON at line 2, column 3"),
        ('{"schema": NaN}', "has a bare NaN, and JSON has no such number"),
        ('{"schema": 1e999}', "has the number 1e999, which is too large"),
        (f'{{"schema": {"9" * 400}}}', "has a whole number of 400 digits, which is too large"),
        (f'{{"schema": {"9" * 5000}}}', "has a whole number of 5000 digits, which is too large"),
        ("[" * 100_000, "is nested too deeply"),
        ('{"schema": 1, "schema": 1}', "has the key 'schema' twice in one object"),
        (r'{"schema": "\ud800"}', "has half of a surrogate pair"),
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
    with pytest.raises(
        ResultsError, match="No such file or directory; `pytest benchmarks --initcheck-json"
    ):
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


def test_what_is_not_finite_is_inside_no_limit():
    assert not probe(limit={"min": 1.0}).inside(math.inf)
    assert not probe(limit={"min": 1.0, "max": 2.0}).inside(math.nan)
    assert probe(limit={"min": 1.0, "max": 2.0}).inside(2.0)


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
