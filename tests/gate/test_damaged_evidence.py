"""Damaged evidence is an error or invalid; it never lets a seeded fault pass in silence."""

from __future__ import annotations

import copy
import json
import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from initcheck import SGD, Recipe
from initcheck.baselines import evidence as files
from initcheck.baselines.evidence import BaselineError
from initcheck.baselines.folder import Baselines
from initcheck.baselines.limits import LimitEntry
from initcheck.gate import record, reference
from initcheck.gate.drift import nothing_judged
from initcheck.gate.setting import Setting
from initcheck.gate.trainer import Laboratory
from initcheck.gate.verdict import Verdict
from initcheck.probes import final_loss
from initcheck.results import LACKING
from tests.helpers import toy

CLAIM = "he_learns"
TREATED = toy.arm(recipe=Recipe(SGD(lr=0.1), batch=8, steps=12))
CONTROL = toy.arm(recipe=Recipe(SGD(lr=0.02), batch=8, steps=12))
LIMIT = LimitEntry(CLAIM, "final_loss", "nats", "measured", "because", "a fault", margin=0.01)
FAULT = 0.999  # of the learning rate

QUICK = settings(
    max_examples=150, deadline=None, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip


class Toy(Laboratory):
    """Trains on the toy data, with a learning rate that is off by a factor."""

    factor = 1.0

    def __repr__(self):
        return f"Toy({self.factor})"

    def data(self, name):
        return toy.data()

    def _train(self, arm, seeds, device):
        rate = dict(arm.recipe.optimizer.options)["lr"] * self.factor
        trained = super()._train(
            replace(arm, recipe=replace(arm.recipe, optimizer=SGD(lr=rate))), seeds, device
        )
        return replace(trained, arm=arm)


def verdict(folder, laboratory, **setting):
    baselines = Baselines(folder)
    baselines.__dict__["limits"] = {CLAIM: {"final_loss": LIMIT}}
    made = Verdict(CLAIM, CLAIM, "cpu", "measured", laboratory, baselines, Setting(**setting))
    made.gains(final_loss, better=CONTROL, worse=TREATED)  # the larger loss
    made.judge()
    return made


@pytest.fixture(scope="module")
def sound():
    """Unchanged code."""
    return Toy()


@pytest.fixture(scope="module")
def faulty():
    """A learning rate that is off by a thousandth."""
    made = Toy()
    made.factor = FAULT
    return made


@dataclass(frozen=True)
class Recorded:
    """A folder with sound evidence, and the content of its file."""

    folder: Path
    whole: dict[str, Any] = field(repr=False)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory, sound):
    folder = tmp_path_factory.mktemp("recorded")
    path = record.record(verdict(folder, sound, recording="first"), "first")
    return Recorded(folder, json.loads(path.read_text()))


def judged(recorded, text, laboratory, *, required):
    """The verdict and the drift of both arms of a claim with this evidence."""
    Baselines(recorded.folder).path(CLAIM).write_text(text)
    files._read.cache_clear()  # it may be written twice within the clock's resolution
    (probe,) = verdict(recorded.folder, laboratory, require_evidence=required).probes
    return probe.verdict, probe.drift


def passes_silently(verdict, drifts):
    """Whether a claim is green and no line at the end of the run says what was not judged."""
    loud = any(d.verdict in (*LACKING, "other start") for d in drifts.values())
    return verdict == "pass" and not loud


# --- with sound evidence --------------------------------------------------------------------------


@pytest.mark.parametrize("required", [True, False])
def test_sound_evidence_passes_sound_code_and_catches_the_fault(recorded, sound, faulty, required):
    text = json.dumps(recorded.whole)
    assert judged(recorded, text, sound, required=required)[0] == "pass"
    verdict, drifts = judged(recorded, text, faulty, required=required)
    assert verdict == "drifted"
    assert {drift.verdict for drift in drifts.values()} == {"left"}


# --- with damaged evidence ------------------------------------------------------------------------


def places(value, at=()):
    """The place of every value in nested data, the first three items of a list."""
    yield at
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*at, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value[:3]):
            yield from places(inner, (*at, number))


def changed(whole, at, change):
    """The text of a file whose value at a place was changed; ``None`` removes it."""
    whole = copy.deepcopy(whole)
    if not at:
        return json.dumps(change(whole))
    *parents, last = at
    inner = whole
    for key in parents:
        inner = inner[key]
    inner[last] = change(inner[last])
    return json.dumps(whole).replace('"1e999"', "1e999")


def is_number(value):
    return isinstance(value, int | float) and not isinstance(value, bool)


OUT_OF_DOMAIN = {
    "negative": lambda value: -abs(value) - 1e-9 if is_number(value) else [value],
    "zero": lambda value: 0 if is_number(value) else {},
    "infinite": lambda value: "1e999",
    "not a number": lambda value: math.nan,
    "larger than floats": lambda value: 10**400,
    "null": lambda value: None,
    "true": lambda value: True,
    "text": lambda value: "text",
    "empty list": lambda value: [],
    "empty object": lambda value: {},
    "twice": lambda value: value * 2 if isinstance(value, list) else [value, value],
    "shorter": lambda value: value[:-1] if isinstance(value, list | str) else value,
    "without first": lambda value: value[1:] if isinstance(value, list | str) else value,
    "all the same": lambda value: value[:1] * len(value) if isinstance(value, list) else value,
}  # fmt: skip
PLAUSIBLE = {
    "a hundred times": lambda value: value * 100.0 if is_number(value) else value,
    "a bit more": lambda value: value * 1.001 if is_number(value) else value,
    "all chaotic": lambda value: [1.0 for _ in value] if isinstance(value, list) else value,
}


PLACE = st.integers(0, 10**6)  # the number of a place, counted on from the first after the last


@QUICK
@given(place=PLACE, kind=st.sampled_from(sorted(OUT_OF_DOMAIN)), required=st.booleans())
def test_a_value_outside_its_domain_never_hides_a_fault(recorded, faulty, place, kind, required):
    """In evidence of older releases, which has no digest."""
    whole = copy.deepcopy(recorded.whole)
    for entry in whole["environments"]:
        del entry["digest"]
    every = [*places(whole)]
    at = every[place % len(every)]
    text = changed(whole, at, OUT_OF_DOMAIN[kind])
    verdict, drifts = judged(recorded, text, faulty, required=required)
    assert not passes_silently(verdict, drifts)
    assert not (required and verdict == "pass")


@QUICK
@given(place=PLACE, kind=st.sampled_from(sorted(OUT_OF_DOMAIN | PLAUSIBLE)))
def test_no_change_after_recording_hides_a_fault(recorded, faulty, place, kind):
    """A hundred times wider envelope is in its domain, and only the digest notices it."""
    whole = recorded.whole
    every = [at for at in places(whole) if at[:2] == ("environments", 0) and len(at) > 2]
    at = every[place % len(every)]
    text = changed(whole, at, (OUT_OF_DOMAIN | PLAUSIBLE)[kind])
    verdict, drifts = judged(recorded, text, faulty, required=False)
    assert verdict == "invalid" or (json.loads(text) == whole and verdict == "drifted"), (
        at,
        drifts,
    )


ENVELOPE = ("environments", 0, "arms", str(TREATED), "reference", "envelope")
REFERENCE = ENVELOPE[:-1]


def without_step(place):
    """Remove some judged steps, with their losses, sketches and envelopes."""

    def change(reference):
        kept = [i for i in range(len(reference["steps"])) if i not in place]
        pick = lambda values: [values[i] for i in kept]  # noqa: E731 -- used in many lines
        ways = {
            name: {
                "envelope": pick(way["envelope"]),
                "sketches": [pick(seed) for seed in way["sketches"]],
            }
            for name, way in reference["ways"].items()
        }
        new = reference | {
            "steps": pick(reference["steps"]), "envelope": pick(reference["envelope"]),
            "losses": [pick(curve) for curve in reference["losses"]], "ways": ways,
        }  # fmt: skip
        return new if kept else {key: value for key, value in new.items() if key != "ways"}

    return change


@pytest.mark.parametrize(
    ("at", "change", "sentence"),
    [
        (ENVELOPE, lambda e: [-w for w in e], "every value must be finite and above 0"),
        (ENVELOPE, lambda e: ["1e999" for _ in e], "1e999, which is too large"),
        (ENVELOPE, lambda e: [w / (1 + i) for i, w in enumerate(e)], "it cannot fall"),
        (ENVELOPE, lambda e: [w / 1e9 for w in e], "has an envelope below 4.8e-07"),
        (REFERENCE, without_step(range(9)), "lacks step"),
        (REFERENCE, without_step([2]), "lacks step 2"),
        (
            REFERENCE,
            lambda r: r | {"steps": [0, 1, 2, 4, 8, 999]},
            "has step 999, at which this arm is not judged",
        ),
        (REFERENCE, lambda r: r | {"seeds": [1, 2, 3, 4]}, "was recorded on other seeds"),
        ((*REFERENCE, "seeds"), lambda s: s[:1] * 4, "a seed appears twice"),
        (
            ("environments", 0, "arms", str(TREATED), "seeds"),
            lambda s: s[:9],
            "one value for each seed of its arm",
        ),
        (
            ("environments", 0, "comparisons", "final_loss", "treated"),
            lambda v: [],
            "one value for each seed of its arm",
        ),
        (
            ("environments", 0, "comparisons", "final_loss", "treated_arm"),
            lambda arm: str(TREATED),
            f"lacks its treated arm {CONTROL}",
        ),
    ],
)
def test_damage_that_disarmed_the_gate_is_named(recorded, faulty, at, change, sentence):
    whole = copy.deepcopy(recorded.whole)
    del whole["environments"][0]["digest"]
    Baselines(recorded.folder).path(CLAIM).write_text(changed(whole, at, change))
    files._read.cache_clear()
    (probe,) = verdict(recorded.folder, faulty).probes
    assert probe.verdict == "invalid"
    assert sentence in probe.reason


def test_under_required_evidence_an_arm_that_cannot_be_compared_is_invalid():
    elsewhere = {"verdict": "other start"}
    assert nothing_judged(elsewhere)
    assert not nothing_judged(elsewhere | {"moved": False})
    assert not nothing_judged({"verdict": "unchanged"})


def test_a_record_may_lack_a_step_only_where_the_loss_is_not_finite(sound):
    trained = sound.trained(TREATED, (3, 5), "cpu")
    noisy = sound.twins(TREATED, (3, 5))
    made = reference.record(TREATED, trained, noisy)
    assert reference.compare(TREATED, trained, made).r == 0
    broken = replace(trained, losses=trained.losses.clone())
    broken.losses[:, 4] = math.inf
    without = reference.record(TREATED, broken, noisy)
    assert without["steps"] == [0, 1, 2, 8, 11]
    assert reference.compare(TREATED, broken, without).r == 0
    with pytest.raises(BaselineError, match="lacks step 4"):
        reference.compare(TREATED, trained, without)
