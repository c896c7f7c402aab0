"""Evidence as a file: its domain, whose entry is chosen, and its origin."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from initcheck.baselines.evidence import (
    BaselineError,
    check_evidence,
    choose,
    merged,
    read_evidence,
)
from initcheck.baselines.folder import Baselines
from tests.helpers.baselines import (
    A100,
    CPU,
    H200,
    MEANS,
    entry,
    whole,
)

WAY = ("arms", "A", "reference", "ways", "w")


def test_valid_evidence_is_accepted(tmp_path):
    check_evidence(tmp_path, whole(entry()))


def test_evidence_of_older_releases_without_sketches_is_accepted(tmp_path):
    made = entry()
    for arm in made["arms"].values():
        arm["reference"].pop("ways", None)  # both arms may share one reference
    check_evidence(tmp_path, whole(made))


@pytest.mark.parametrize(
    ("path", "value", "place"),
    [
        (("environment", "torch"), None, "environments/0/environment/torch"),
        (("date",), "yesterday", "environments/0/date"),
        (("reason",), "", "environments/0/reason"),
        (("comparisons", "loss", "treated", 0), "1", "environments/0/comparisons/loss/treated/0"),
        (("comparisons", "loss", "hash"), "xyz", "environments/0/comparisons/loss/hash"),
        (("comparisons", "loss", "transform"), "sqrt", "comparisons/loss/transform"),
        (("arms", "A", "reference", "envelope", 1), "x", "arms/A/reference/envelope/1"),
        (("arms", "A", "reference", "envelope", 2), True, "arms/A/reference/envelope/2"),
        (("arms", "A", "seeds", 1), 1.5, "arms/A/seeds/1"),
        (("surprise",), 1, "environments/0: Additional properties"),
        (("arms", "A", "reference", "ways"), {}, "arms/A/reference/ways: {}"),
        ((*WAY, "sketches"), "none", "arms/A/reference/ways/w/sketches"),
        ((*WAY, "surprise"), 1, "arms/A/reference/ways/w: Additional properties"),
        ((*WAY, "envelope", 0), "x", "arms/A/reference/ways/w/envelope/0"),
        # parts that contradict each other
        (
            ("comparisons", "loss", "treated_arm"),
            "C",
            "loss/treated_arm: the entry holds no arm",
        ),
        (
            ("arms", "A", "reference", "envelope"),
            [1e-7],
            "arms/A/reference: curves and envelope",
        ),
        (
            ("arms", "A", "reference", "losses", 1),
            [1.0],
            "arms/A/reference: curves and envelope",
        ),
        (("arms", "A", "reference", "seeds"), [1], "reference/losses: it must hold one curve"),
        (("origin",), {}, "origin/loss: the comparison has no origin"),
    ],
)
def test_invalid_evidence_is_refused_with_its_place(tmp_path, path, value, place):
    made = entry()
    *parents, last = path
    inner = made
    for key in parents:
        inner = inner[key]
    inner[last] = value
    with pytest.raises(BaselineError) as error:
        check_evidence(tmp_path / "a_claim.json", whole(made))
    assert place in str(error.value)
    assert str(tmp_path / "a_claim.json") in str(error.value)
    assert "Restore it from version control" in str(error.value)


ARM = ("arms", "A", "reference")


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        (("arms", "A", "seeds"), [1, 1], "A/seeds: a seed appears twice"),
        (("arms", "A", "seeds"), [1, -2], "A/seeds: seeds are whole numbers of at least 0"),
        (("arms", "A", "seeds"), [1, 2.0], "A/seeds: seeds are whole numbers of at least 0"),
        (("arms", "A", "seeds"), [1], "loss/treated: it must hold one value for each seed"),
        ((*ARM, "seeds"), [], "reference/seeds: there must be at least one seed"),
        ((*ARM, "steps"), [0, 2, 1], "reference/steps: steps must be whole numbers"),
        ((*ARM, "steps"), [-1, 0, 1], "reference/steps: steps must be whole numbers"),
        ((*ARM, "steps"), [0, 1, 2.0], "reference/steps: steps must be whole numbers"),
        ((*ARM, "steps"), [], "curves and envelope must hold one value for each of 0 steps"),
        ((*ARM, "losses", 0, 1), math.inf, "reference/losses: every loss must be finite"),
        ((*ARM, "envelope", 0), -1e-7, "envelope: every value must be finite and above 0"),
        ((*ARM, "envelope", 0), 0, "envelope: every value must be finite and above 0"),
        ((*ARM, "envelope", 2), math.inf, "envelope: every value must be finite and above 0"),
        ((*ARM, "envelope", 2), 1e-8, "envelope: it is the largest distance so far"),
        ((*ARM, "order"), [7], "reference/order: it must hold one number per seed"),
        ((*ARM, "start", "w"), [[1.0, 2.0]], "start/w: it must hold 2 finite numbers"),
        ((*ARM, "start", "w", 0), [1.0, "2"], "start/w: it must hold 2 finite numbers"),
        ((*ARM, "layers", "w", 0), [1.0, 2.0], "layers/w: it must hold one finite number"),
        ((*WAY, "sketches"), [], "ways/w/sketches: it must hold one list per seed"),
        ((*WAY, "sketches", 0), [], "ways/w/sketches: each seed needs the same number"),
        (
            (*WAY, "sketches", 0),
            [1, 2],
            "ways/w/sketches: each seed needs the same number",
        ),
        ((*WAY, "sketches", 1, 1), [1, 2], "ways/w/sketches: each seed needs the same number"),
        ((*WAY, "sketches"), [[[1], [1]]] * 2, "ways/w/sketches: each seed needs the same number"),
        ((*WAY, "sketches", 0, 0, 1), math.inf, "ways/w/sketches: each seed needs the same"),
        ((*WAY, "sketches", 0, 1, 2), -2, "ways/w/sketches: the last number is a length"),
        ((*WAY, "envelope"), [0, 0, 0, 0], "ways/w/envelope: it must hold a value for each of 1"),
        ((*WAY, "envelope"), [], "ways/w/envelope: it must hold a value for each of 1 to 3 steps"),
        ((*WAY, "envelope"), [0], "ways/w/sketches: each seed needs the same number"),
        ((*WAY, "envelope", 0), -1, "ways/w/envelope: every value must be finite and at least 0"),
        ((*WAY, "envelope", 1), math.inf, "ways/w/envelope: every value must be finite and at"),
        ((*WAY, "envelope", 0), 1e-3, "ways/w/envelope: it is the largest distance so far"),
        (("comparisons", "loss", "treated"), [], "loss/treated: it must hold one value"),
        (("comparisons", "loss", "control", 0), math.inf, "control: every value must be finite"),
        (("comparisons", "loss", "form"), "rate", "treated: a rate counts successes"),
        (("origin", "loss", "treated_std"), -1.0, "treated_std: a standard deviation"),
        (("origin", "loss", "treated_mean"), math.inf, "treated: mean and std must be finite"),
        (("digest",), "0" * 16, "digest: the entry was changed after it was written"),
    ],
)
def test_every_value_has_a_domain(tmp_path, path, value, sentence):
    made = entry()
    inner = made
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    with pytest.raises(BaselineError) as error:
        check_evidence(tmp_path, whole(made))
    assert sentence in str(error.value)
    assert f"{tmp_path} is damaged at environments/0/" in str(error.value)


def test_a_file_without_any_recording_is_refused(tmp_path):
    with pytest.raises(BaselineError, match="at environments: "):
        check_evidence(tmp_path, whole())


def test_a_file_that_was_changed_after_it_was_written_is_refused(tmp_path):
    path = Baselines(tmp_path).store("a_claim", entry())
    text = path.read_text()
    path.write_text(text.replace("2e-07", "2e-06"))
    assert path.read_text() != text
    with pytest.raises(BaselineError, match="digest: the entry was changed after"):
        read_evidence(path)
    path.write_text(text.replace("2e-07", "2e-07 ").replace("\n", "\r\n"))  # only the layout
    read_evidence(path)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is not JSON at line 1, column 1"),
        ('{\n"schema": }', "is not JSON at line 2, column 11"),
        ('{"schema": NaN}', "has a bare NaN"),
        ('{"schema": -Infinity}', "has a bare -Infinity"),
        ('{"schema": 1e999}', "has the number 1e999, which is too large"),
        (f'{{"schema": {"9" * 400}}}', "has a whole number of 400 digits, which is too large"),
        ('{"schema": 1, "schema": 1}', "has the key 'schema' twice in one object"),
        (r'{"schema": "\ud800"}', "has half of a surrogate pair"),
        ("[]", "does not fit its schema at the top"),
    ],
)
def test_unreadable_evidence_is_refused(tmp_path, text, sentence):
    path = tmp_path / "a_claim.json"
    path.write_text(text)
    with pytest.raises(BaselineError, match=sentence):
        read_evidence(path)


@pytest.mark.parametrize("depth", [500, 100_000])
def test_evidence_that_is_nested_deeply_is_refused(tmp_path, depth):
    path = tmp_path / "a_claim.json"
    path.write_text(json.dumps(whole(entry())).replace('"abc"', "[" * depth + "]" * depth))
    with pytest.raises(BaselineError, match=r"nested too deeply|does not fit its schema"):
        read_evidence(path)


# --- entries of several devices ------------------------------------------------------------------


def on(kind, device):
    return {"device type": kind, "device": device}


@pytest.mark.parametrize(
    ("recorded", "machine", "chosen"),
    [
        ((CPU,), on("cpu", "another CPU"), CPU),
        ((CPU,), on("cuda", "H200"), CPU),
        ((CPU, H200), on("cuda", "A100"), H200),  # the same type, and only one
        ((CPU, H200, A100), on("cuda", "A100"), A100),
        ((CPU, H200, A100), on("cuda", "V100"), CPU),
        ((H200,), on("cpu", "a CPU"), None),
        ((), on("cpu", "a CPU"), None),
    ],
)
def test_the_evidence_of_the_same_device_comes_before_the_reference(recorded, machine, chosen):
    assert choose(whole(*recorded), machine) == chosen


@pytest.mark.parametrize(
    ("old", "new", "left"),
    [
        ((CPU,), entry(device="another CPU"), ["another CPU"]),  # one reference
        ((CPU,), H200, ["a CPU", "H200"]),
        ((H200,), CPU, ["a CPU", "H200"]),  # the reference comes first
        ((CPU, H200), A100, ["a CPU", "A100", "H200"]),
        ((CPU, H200), entry("cuda", "H200"), ["a CPU", "H200"]),
    ],
)
def test_entry_replaces_that_of_the_same_device(old, new, left):
    entries = merged(whole(*old), new)["environments"]
    assert [e["environment"]["device"] for e in entries] == left
    assert any(e["date"] == new["date"] and e["arms"] == new["arms"] for e in entries)


# --- the origin ---------------------------------------------------------------------------------


def test_the_origin_never_moves():
    evidence = whole(entry(date="2026-01-01"))
    for month in range(2, 6):  # each moves a little, and none is far from the first
        made = entry(date=f"2026-{month:02}-01", treated_mean=1.0 + month / 60)
        evidence = merged(evidence, made)
    (last,) = evidence["environments"]
    assert last["date"] == "2026-05-01"
    assert last["origin"]["loss"] == MEANS | {"date": "2026-01-01"}
    with pytest.raises(BaselineError):
        merged(evidence, entry(treated_mean=1.11))


@pytest.mark.parametrize(
    ("means", "far"),
    [
        ({"treated_mean": 1.09}, False),
        ({"treated_mean": 1.11}, True),
        ({"treated_mean": 0.89}, True),
        ({"control_mean": 2.11}, True),
        ({"control_mean": 1.91}, False),
    ],
)
def test_drift_beyond_a_tenth_of_the_distance_needs_a_reason(means, far):
    old, new = whole(entry(date="2026-01-01")), entry(**means)
    if not far:
        assert merged(old, new)["environments"][0]["accepted"] == []
        return
    with pytest.raises(BaselineError) as error:
        merged(old, new)
    assert "loss (treated against control) were 1 against 2 in" in str(error.value)
    assert "in the first recording of 2026-01-01" in str(error.value)
    assert "--initcheck-accept-drift REASON" in str(error.value)


def test_an_accepted_drift_is_kept_with_its_reason():
    old = whole(entry(date="2026-01-01"))
    drifted = merged(old, entry(treated_mean=1.5), accept="torch 3 rounds otherwise")
    (kept,) = drifted["environments"]
    assert kept["origin"]["loss"] == MEANS | {"date": "2026-01-01"}
    (accepted,) = kept["accepted"]
    assert accepted["reason"] == "torch 3 rounds otherwise"
    assert accepted["means"]["treated_mean"] == 1.5
    check_evidence(Path("x"), drifted)
    again = merged(
        drifted, entry(treated_mean=1.52)
    )  # close to what was accepted, so no new reason is needed
    assert len(again["environments"][0]["accepted"]) == 1
    with pytest.raises(BaselineError):
        merged(drifted, entry(treated_mean=1.7))


def test_a_reason_is_kept_only_for_a_drift():
    (kept,) = merged(whole(entry()), entry(), accept="just in case")["environments"]
    assert kept["accepted"] == []


def test_new_comparison_gets_its_own_origin():
    new = entry(date="2026-03-01")
    new["comparisons"]["rank"] = new["comparisons"]["loss"]
    new["origin"]["rank"] = MEANS | {"date": "2026-03-01"}
    (kept,) = merged(whole(entry(date="2026-01-01")), new)["environments"]
    assert kept["origin"]["rank"]["date"] == "2026-03-01"
    assert kept["origin"]["loss"]["date"] == "2026-01-01"
