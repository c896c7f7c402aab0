"""A verdict on scripted values, for the tests of verdicts."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from initcheck import SGD, Arm, Recipe, mlp
from initcheck.baselines.folder import Baselines
from initcheck.baselines.limits import LimitEntry
from initcheck.gate import seeds
from initcheck.gate.comparison import Pair
from initcheck.gate.setting import Setting
from initcheck.gate.verdict import Verdict
from initcheck.initializers import he, zeros
from initcheck.results import to_plain

RECIPE = Recipe(SGD(lr=0.1), batch=32, steps=5)
TREATED, CONTROL = (Arm(mlp(784, 8, 10), start, RECIPE) for start in (he, zeros))
NAN = math.nan
FINGERPRINT = "the data"


def size(trained):
    """A probe that is never called: the laboratory is scripted."""
    raise AssertionError


def good(arm, stage):
    return 0.9 if arm == TREATED else 0.1


@dataclass
class Laboratory:
    """Gives what a script says for an arm and a stage; a list is one value a seed."""

    script: object
    root: object = None
    download: bool = False
    asked: list = field(default_factory=list)
    mark: str = FINGERPRINT

    def values(self, probe, arm, drawn, device):
        stage = 1 if drawn[0] == seeds.stage(1, 1, self.salt)[0] else 2
        self.asked.append((arm, stage))
        said = self.script(arm, stage)
        return list(said) if np.ndim(said) else [said] * len(drawn)

    salt = ""

    def trained(self, arm, drawn, device):
        assert tuple(drawn) == seeds.reference()[: len(drawn)]
        return arm

    def data(self, name):
        return SimpleNamespace(fingerprint=self.mark)


LIMIT = LimitEntry("a_claim", "size", "units", "measured", "because", "a fault", low=0.5)
GAIN = replace(LIMIT, low=-math.inf, margin=0.5)
RATE = replace(LIMIT, low=0.8)


def claim(script=good, limit=LIMIT, entry=None, **setting):
    """A verdict on scripted values."""
    baselines = Baselines(folder=Path("baselines"))
    baselines.__dict__["limits"] = {"a_claim": {"size": limit} if limit else {}}
    baselines.__dict__["registered"] = 11
    evidence = {"schema": 1, "claim": "a_claim", "environments": [entry]} if entry else None
    baselines._evidence["a_claim"] = evidence
    laboratory = Laboratory(script)
    laboratory.salt = setting.get("salt", "")
    return Verdict(
        "a_claim", "a_claim", "cpu", "measured", laboratory, baselines, Setting(**setting)
    )


def judged(script=good, *, form="holds", **more):
    """The entry of one comparison, after it was judged."""
    verdict = claim(script, **more)
    arms = ("better", "worse") if form == "gains" else ("treated", "control")
    getattr(verdict, form)(size, **dict(zip(arms, (TREATED, CONTROL), strict=True)))
    verdict.judge()
    (entry,) = verdict.probes
    assert verdict.summary() == entry.verdict
    return to_plain(entry) | {"asked": verdict.laboratory.asked}


def at(first, fresh, control=0.1):
    """Treated values by stage."""
    return lambda arm, stage: control if arm == CONTROL else {1: first, 2: fresh}[stage]


def normal(mean, spread):
    """64 recorded values."""
    return list(np.random.default_rng(0).normal(mean, spread, 64))


BEFORE = normal(0.9, 0.01)


def evidence(treated=BEFORE, control=(0.1,) * 64, form="holds", **more):
    """One environment's entry; the envelope is judged by a stand-in."""
    pair = Pair(size, TREATED, CONTROL, form=form)
    comparison = {
        "hash": pair.fingerprint(), "treated": list(treated), "control": list(control),
        "transform": "none" if form == "rate" else "identity",
    }  # fmt: skip
    return {
        "environment": {"device type": "cpu", "device": "a CPU", "torch": "2.0"},
        "date": "2026-01-01", "data": {"mnist5k": FINGERPRINT},
        "comparisons": {"size": comparison | more},
        "arms": {str(arm): {"reference": arm} for arm in (TREATED, CONTROL)},
    }  # fmt: skip
