"""Limits and evidence as files: reading, checking and storing."""

from __future__ import annotations

import copy
import errno
import json
import math
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from initcheck.baselines import layout, lock
from initcheck.baselines.evidence import (
    BaselineError,
    check_evidence,
    choose,
    merged,
    read_evidence,
    stem_of,
)
from initcheck.baselines.folder import Baselines
from initcheck.baselines.limits import nearest, read_limits
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


@pytest.mark.parametrize("value", ["1" + "0" * 400, "-1" + "0" * 400, "0x" + "f" * 5000])
def test_limit_that_no_float_can_hold_is_refused(tmp_path, value):
    path = written(tmp_path)
    path.write_text(path.read_text().replace("1.0", value))
    with pytest.raises(BaselineError, match="max = a number that no float can hold"):
        read_limits(path)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (f"[a.b]\nmax = {'9' * 5000}", "it has a number that is too long, or is nested too deeply"),
        (f"a = {'[' * 100_000}", "it has a number that is too long, or is nested too deeply"),
        ("[a.b]\nmax = 1\nmax = 2", "Cannot overwrite a value"),
    ],
)
def test_limits_that_toml_or_python_cannot_hold_are_refused(tmp_path, text, sentence):
    path = tmp_path / "limits.toml"
    path.write_text(text)
    with pytest.raises(BaselineError, match=sentence):
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
    with pytest.raises(BaselineError, match=r"at line 2, column 7.*Correct that place"):
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
    "envelope": [1e-7, 1e-7, 2e-7], "start": {"w": [[1.0, -0.5], [1.1, 0.5]]}, "order": [7, 8],
    "layers": {"w": [[0.5], [0.6]]},
    "ways": {"w": {"sketches": [[[0.5, -0.1, 0.4], [1, 0, 2]]] * 2, "envelope": [0, 1e-6]}},
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
                             "control_arm": "B", "treated": [1.0, 1.1], "control": [2.0, 2.1]}},
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


ARM = ("arms", "A", "reference")
WAY = (*ARM, "ways", "w")


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
        ((*ARM, "ways"), {}, "arms/A/reference/ways"),
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


# --- what is there and is no file ---------------------------------------------------------------


def dangling(path):
    path.symlink_to("nowhere")
    return "it is a link to nowhere, which does not exist"


def loop(path):
    path.symlink_to(path.name)
    return os.strerror(errno.ELOOP)


def pipe(path):
    os.mkfifo(path)
    return "it is a pipe or a device, not a regular file"


def device(path):
    path.symlink_to("/dev/zero")
    return "it is a pipe or a device, not a regular file"


def folder(path):
    path.mkdir()
    return "it is a folder, not a regular file"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("make", [dangling, loop, pipe, device, folder])
def test_evidence_that_is_there_and_no_file_is_refused(tmp_path, make):
    """It is not `no evidence yet`, and a pipe does not keep the run waiting."""
    baselines = Baselines(tmp_path)
    path = baselines.path("a_claim")
    path.parent.mkdir()
    problem = make(path)
    written(tmp_path)
    for read in (baselines.evidence, lambda _: baselines.registered):
        with pytest.raises(BaselineError) as error:
            read("a_claim")
        assert str(error.value).startswith(f"{path} cannot be read: {problem}. Restore it")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("make", [dangling, loop, pipe, device, folder])
def test_limits_that_are_there_and_no_file_are_refused(tmp_path, make):
    (tmp_path / "baselines").mkdir()
    problem = make(tmp_path / "baselines" / "limits.toml")
    found = nearest(tmp_path / "below")  # not a folder further up
    with pytest.raises(BaselineError, match=rf"limits\.toml cannot be read: {problem}"):
        read_limits(found / "limits.toml")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("make", [dangling, loop, pipe, device])
def test_folder_of_evidence_that_is_there_and_no_folder_is_refused(tmp_path, make):
    make(tmp_path / "evidence")
    with pytest.raises(BaselineError, match=r"evidence cannot be read: .* must be a folder"):
        Baselines(tmp_path).files()


def test_nothing_recorded_yet_is_no_error(tmp_path):
    assert Baselines(tmp_path).files() == []
    assert Baselines(tmp_path).evidence("a_claim") is None


# --- names of files -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claim_id", "name"),
    [
        ("a_claim[float32-adam]", "a_claim[float32-adam].json"),
        ("a_claim[../../../escape]", "a_claim[..%2F..%2F..%2Fescape].json"),
        ("a_claim[C:\\x]", "a_claim[C%3A%5Cx].json"),
        ("a_claim[a\x00b\n]", "a_claim[a%00b%0A].json"),
        ("a_claim[50%, 2 x é]", "a_claim[50%, 2 x é].json"),
    ],
)
def test_evidence_stays_in_its_folder_whatever_the_id(tmp_path, claim_id, name):
    baselines = Baselines(tmp_path / "baselines")
    path = baselines.store(claim_id, entry())
    assert path == tmp_path / "baselines" / "evidence" / name
    assert [each.name for each in tmp_path.iterdir()] == ["baselines"]
    assert baselines.path(path.stem) == path  # a name found in the folder is an id, too
    assert Baselines(tmp_path / "baselines").evidence(claim_id) == read_evidence(path)


def test_an_id_too_long_for_a_file_is_refused(tmp_path):
    with pytest.raises(BaselineError, match=r"has an id of 309 characters.*shorter ids"):
        Baselines(tmp_path).evidence(f"a_claim[{'x' * 300}]")


def test_every_file_name_of_this_project_stays_as_it_is():
    paths = Baselines(Path(__file__).parents[2] / "baselines").files()
    assert len(paths) > 100
    assert all(stem_of(path.stem) == path.stem for path in paths)


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
    made["arms"]["A"]["seeds"] = [1, 2, 3]
    Baselines(tmp_path).store("a_claim[relu]", made)
    path = tmp_path / "evidence" / "a_claim[relu].json"
    assert read_evidence(path) == Baselines(tmp_path).evidence("a_claim[relu]")
    (back,) = read_evidence(path)["environments"]
    assert back["comparisons"]["loss"]["treated"] == [0.1 + 0.2, 1 / 3, 5e-324]
    assert json.loads(path.read_text()) == json.loads(
        json.dumps(json.loads(path.read_text()), sort_keys=True)
    )
    assert list(json.loads(path.read_text())) == ["claim", "environments", "schema"]


def test_a_recording_with_sketches_replaces_one_without_and_keeps_its_origin(tmp_path):
    old, new = entry(), entry(date="2026-03-01")
    for arm in old["arms"].values():
        arm["reference"].pop("ways", None)  # both arms may share one reference
    baselines = Baselines(tmp_path)
    baselines.store("a_claim", old)
    (back,) = read_evidence(baselines.store("a_claim", new))["environments"]
    assert back["arms"]["A"]["reference"]["ways"] == REFERENCE["ways"]
    assert back["origin"] == old["origin"]


def test_rows_of_numbers_have_a_line_each(tmp_path):
    """So a changed number is a changed line, and files are short."""
    lines = Baselines(tmp_path).store("a_claim", entry()).read_text().splitlines()
    assert "[0.5, -0.1, 0.4]," in [line.strip() for line in lines]


def test_a_long_row_has_a_line_per_number():
    numbers = [1 / (n + 3) for n in range(20)]
    assert json.loads(layout.text(numbers)) == numbers
    assert len(layout.text(numbers).splitlines()) == 22
    assert layout.text([]) == "[]"
    with pytest.raises(ValueError, match="not JSON compliant"):
        layout.text([math.nan])


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


RECORDING = """
import json, sys
from pathlib import Path
from initcheck.baselines.folder import Baselines
folder, entry = Path(sys.argv[1]), json.loads(sys.argv[2])
for _ in range(20):
    Baselines(folder).store("a_claim", entry)
"""


def test_three_recordings_at_once_keep_all_evidence(tmp_path):
    """Each stores the evidence of its device again and again, in one file."""
    names = ("A100", "H200", "V100")
    recordings = [
        subprocess.Popen(
            [sys.executable, "-c", RECORDING, str(tmp_path), json.dumps(entry("cuda", name))],
            cwd=Path(__file__).parents[2],
        )
        for name in names
    ]
    assert [recording.wait() for recording in recordings] == [0, 0, 0]
    entries = read_evidence(Baselines(tmp_path).path("a_claim"))["environments"]
    assert [each["environment"]["device"] for each in entries] == [*names]


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
