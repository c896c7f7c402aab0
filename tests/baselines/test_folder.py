"""Limits and evidence as files: reading, checking and storing."""

from __future__ import annotations

import copy
import json
import math
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from initcheck.baselines import lock
from initcheck.baselines.evidence import (
    BaselineError,
    check_evidence,
    choose,
    merged,
    read_evidence,
)
from initcheck.baselines.folder import Baselines
from initcheck.baselines.limits import read_limits
from initcheck.baselines.lock import alone

GOOD = {"max": 1.0, "unit": "nats", "kind": "measured", "why": "because", "fault": "a fault"}


def written(folder, entry=GOOD, head="a_claim.a_probe"):
    lines = [f"{key} = {json.dumps(value)}" for key, value in entry.items()]
    (folder / "limits.toml").write_text("\n".join([f"[{head}]", *lines]), encoding="utf-8")
    return folder / "limits.toml"


# --- limits -------------------------------------------------------------------------------------


def test_a_limit_is_read_as_written(tmp_path):
    limit = read_limits(written(tmp_path, GOOD | {"min": 0, "margin": 2}))["a_claim"]["a_probe"]
    assert (limit.low, limit.high, limit.margin) == (0.0, 1.0, 2.0)
    assert (limit.unit, limit.kind, limit.why, limit.fault) == tuple(GOOD.values())[1:]
    assert (limit.interval.low, limit.interval.high) == (0.0, 1.0)
    assert limit.shown("gains") == {"margin": 2.0}
    assert limit.shown("holds") == {"min": 0.0, "max": 1.0}


def test_an_open_end_is_shown_as_none(tmp_path):
    limit = read_limits(written(tmp_path))["a_claim"]["a_probe"]
    assert limit.low == -math.inf
    assert limit.shown("holds") == {"min": None, "max": 1.0}


@pytest.mark.parametrize(
    ("given", "forms"),
    [
        ({"max": 1.0}, {"holds"}),
        ({"min": 0.5}, {"holds", "rate"}),
        ({"min": 1.0}, {"holds"}),
        ({"min": 0.2, "max": 0.5}, {"holds"}),
        ({"margin": 0.0}, {"gains"}),
    ],
)
def test_a_limit_serves_some_forms_of_comparison(tmp_path, given, forms):
    words = {key: value for key, value in GOOD.items() if key != "max"}
    limit = read_limits(written(tmp_path, words | given))["a_claim"]["a_probe"]
    assert {form for form in ("holds", "gains", "rate") if limit.serves(form)} == forms


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"maximum": 1}, "has an unknown key 'maximum'. Write one of max, min, margin, unit"),
        ({"why": " "}, "lacks 'why', a text in quotes. Add it."),
        ({"unit": 3}, "lacks 'unit'"),
        ({"kind": "certain"}, "has kind 'certain'. Write one of measured, theorem, exact"),
        ({"max": "1"}, "has max = '1'. Write a number"),
        ({"max": True}, "has max = True. Write a number"),
        ({"min": 2}, "has min 2 above max 1.0"),
    ],
)
def test_a_wrong_entry_is_refused_with_its_place(tmp_path, change, sentence):
    path = written(tmp_path, GOOD | change)
    with pytest.raises(BaselineError) as error:
        read_limits(path)
    assert f"{path}: [a_claim.a_probe]" in str(error.value)
    assert sentence in str(error.value)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_limit_that_is_not_finite_is_refused(tmp_path, value):
    path = written(tmp_path)
    path.write_text(path.read_text().replace("1.0", value))
    with pytest.raises(BaselineError, match=rf"max = {value}\. Write a finite number"):
        read_limits(path)


def test_an_entry_without_a_number_is_refused(tmp_path):
    words = {key: value for key, value in GOOD.items() if key != "max"}
    with pytest.raises(BaselineError, match="Add 'max' or 'min' for holds, or 'margin'"):
        read_limits(written(tmp_path, words))


def test_table_without_a_probe_is_refused(tmp_path):
    with pytest.raises(BaselineError, match=r"\[a_claim\] must hold one table \[a_claim\.PROBE\]"):
        read_limits(written(tmp_path, head="a_claim"))


def test_broken_toml_is_refused_with_its_line(tmp_path):
    path = tmp_path / "limits.toml"
    path.write_text("[a.b]\nmax = \n")
    with pytest.raises(BaselineError, match=r"at line 2, column 7.*Correct that line"):
        read_limits(path)


def test_a_missing_file_is_refused_with_its_place(tmp_path):
    with pytest.raises(
        BaselineError, match=r"There is no .*limits\.toml, which must hold the limits"
    ):
        read_limits(tmp_path / "limits.toml")


# --- evidence -----------------------------------------------------------------------------------

MEANS = {"treated_mean": 1.0, "treated_std": 0.1, "control_mean": 2.0, "control_std": 0.1}
REFERENCE = {
    "seeds": [1, 2], "steps": [0, 1, 2], "losses": [[2.3, 2.2, 2.1]] * 2,
    "envelope": [1e-7, 1e-7, 2e-7], "start": {}, "layers": {},
}  # fmt: skip
ENTRY = {
    "environment": {
        "device type": "cpu", "device": "a CPU", "torch": "2.14.1",
        "matmul precision": "highest", "threads": 2,
    },
    "reason": "first", "date": "2026-01-01", "commit": "abc", "data": {"mnist5k": "0123"},
    "arms": {"A": {"seeds": [1, 2], "reference": REFERENCE},
             "B": {"seeds": [1, 2], "reference": REFERENCE}},
    "comparisons": {"loss": {"hash": "0" * 16, "transform": "log", "treated_arm": "A",
                             "control_arm": "B", "treated": [1.0], "control": [2.0]}},
    "origin": {"loss": MEANS | {"date": "2026-01-01"}},
}  # fmt: skip


def entry(kind="cpu", device="a CPU", date="2026-01-02", **means):
    """The entry of one environment."""
    made = copy.deepcopy(ENTRY)
    made["environment"] |= {"device type": kind, "device": device}
    made["date"] = made["origin"]["loss"]["date"] = date
    made["origin"]["loss"] |= means
    return made


def whole(*entries):
    return {"schema": 1, "claim": "a_claim", "environments": list(entries)}


def test_valid_evidence_is_accepted(tmp_path):
    check_evidence(tmp_path, whole(entry()))


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


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is not JSON at line 1, column 1"),
        ('{\n"schema": }', "is not JSON at line 2, column 11"),
        ('{"schema": NaN}', "holds NaN"),
        ('{"schema": -Infinity}', "holds -Infinity"),
        ("[]", "does not fit its schema at the top"),
    ],
)
def test_unreadable_evidence_is_refused(tmp_path, text, sentence):
    path = tmp_path / "a_claim.json"
    path.write_text(text)
    with pytest.raises(BaselineError, match=sentence):
        read_evidence(path)


def test_evidence_that_is_a_folder_is_refused(tmp_path):
    with pytest.raises(BaselineError, match="cannot be read"):
        read_evidence(tmp_path)


CPU, H200, A100 = entry(), entry("cuda", "H200"), entry("cuda", "A100")


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


# --- the folder ---------------------------------------------------------------------------------


def test_stored_evidence_is_read_back_exactly(tmp_path):
    made = entry()
    made["comparisons"]["loss"]["treated"] = [0.1 + 0.2, 1 / 3, 5e-324]
    Baselines(tmp_path).store("a_claim[relu]", made)
    path = tmp_path / "evidence" / "a_claim[relu].json"
    assert read_evidence(path) == Baselines(tmp_path).evidence("a_claim[relu]")
    (back,) = read_evidence(path)["environments"]
    assert back["comparisons"]["loss"]["treated"] == [0.1 + 0.2, 1 / 3, 5e-324]
    assert json.loads(path.read_text()) == json.loads(
        json.dumps(json.loads(path.read_text()), sort_keys=True)
    )
    assert list(json.loads(path.read_text())) == ["claim", "environments", "schema"]


def test_store_sees_what_another_process_recorded(tmp_path):
    one, two = Baselines(tmp_path), Baselines(tmp_path)
    assert one.evidence("a_claim") is None
    two.store("a_claim", H200)
    one.store("a_claim", CPU)
    entries = read_evidence(one.path("a_claim"))["environments"]
    assert [e["environment"]["device type"] for e in entries] == ["cpu", "cuda"]


def test_store_waits_while_another_process_stores(tmp_path):
    one, two = Baselines(tmp_path), Baselines(tmp_path)
    with ThreadPoolExecutor(1) as elsewhere:
        with alone(tmp_path):
            waiting = elsewhere.submit(one.store, "a_claim", CPU)
            with pytest.raises(TimeoutError):
                waiting.result(timeout=0.2)
            old = {"schema": 1, "claim": "a_claim", "environments": []}
            two.write(
                "a_claim", merged(old, H200)
            )  # as if this process had read before the other one stored
        waiting.result()
    entries = read_evidence(one.path("a_claim"))["environments"]
    assert [e["environment"]["device type"] for e in entries] == ["cpu", "cuda"]


def test_folders_do_not_wait_for_each_other(tmp_path):
    with alone(tmp_path / "one"):
        Baselines(tmp_path / "two").store("a_claim", CPU)
    assert Baselines(tmp_path / "two").files()


def test_a_folder_that_cannot_be_locked_is_guarded_by_a_file(tmp_path, monkeypatch):
    """Some network file systems lock no folders."""
    monkeypatch.setattr(lock, "_locked", lambda folder: None)
    test_store_waits_while_another_process_stores(tmp_path)


def test_no_lock_file_remains(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    Baselines(tmp_path / "one").store("a_claim", CPU)
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["evidence"]
    assert list((tmp_path / "temporary").iterdir()) == []


def test_evidence_of_another_claim_is_refused(tmp_path):
    Baselines(tmp_path).store("a_claim", CPU)
    path = Baselines(tmp_path).path("a_claim")
    other = path.rename(path.with_name("another_claim.json"))
    with pytest.raises(BaselineError, match="of the claim 'a_claim', but its name says 'another_"):
        read_evidence(other)


def test_invalid_evidence_is_not_stored(tmp_path):
    baselines = Baselines(tmp_path)
    baselines.store("a_claim", CPU)
    before = baselines.path("a_claim").read_bytes()
    with pytest.raises(BaselineError):
        baselines.store("a_claim", entry() | {"date": "soon"})
    assert baselines.path("a_claim").read_bytes() == before


def test_registered_counts_three_per_comparison(tmp_path):
    written(tmp_path)
    assert Baselines(tmp_path).registered == 3  # without evidence, one per limit
    baselines = Baselines(tmp_path)
    for name in ("a_claim[relu]", "a_claim[celu]"):
        baselines.store(name, entry())
    assert Baselines(tmp_path).registered == 6  # one per limit and parameter
    baselines.store("a_claim[relu]", H200)
    assert Baselines(tmp_path).registered == 6  # error rates are stated per device
