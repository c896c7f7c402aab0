"""Whether outcomes have moved, tested by simulation: rates of false alarms, and power.

Sizes: RECORDINGS recordings of N seeds, each compared with STAGES stages of NOW fresh ones. Stages
that share a recording are not independent trials, so a rate may exceed its bound by three standard
errors of its mean over recordings. Seeds are fixed, so a test that passes once passes always.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
from scipy import special, stats

from initcheck.stats import decisions, distributions
from initcheck.stats.distributions import RANKS

RECORDINGS, STAGES = 300, 200
N, NOW = decisions.ENOUGH_RECORDED, 16
REGISTERED = (11, 300)  # comparisons: a small suite and a large one

LAWS = {
    "normal": lambda rng, *shape: rng.standard_normal(shape),
    "exponential": lambda rng, *shape: rng.standard_exponential(shape),
    "gamma of 4": lambda rng, *shape: rng.gamma(4.0, size=shape),
    "t with 3": lambda rng, *shape: rng.standard_t(3, shape),
    "two peaks": lambda rng, *shape: (
        rng.choice([-1.0, 1.0], shape) + 0.1 * rng.standard_normal(shape)
    ),
    "rare jumps": lambda rng, *shape: 4 * (rng.random(shape) < 0.05) + rng.standard_normal(shape),
    "few values": lambda rng, *shape: rng.standard_normal(shape).round(),
    "rare other value": lambda rng, *shape: 1.0 + (rng.random(shape) < 0.05),
}


def alpha1(m: int) -> float:
    return decisions.per_stage(decisions.split(m))


@cache
def alarms(law: str, m: int):
    """Whether each stage alarms, ``(RECORDINGS, STAGES)``; by the scale that each has; scales."""
    rng = np.random.default_rng(0)
    found, names = [], []
    while len(found) < RECORDINGS:
        scale = distributions.scale(LAWS[law](rng, N), [0.0] * N, "units")
        if scale is None:  # all the same: not compared
            continue
        scale = distributions.Scale(scale.name, scale.values, delta=0.0)  # allows nothing
        found.append(scale.moved(LAWS[law](rng, STAGES, NOW), alpha1(m)))
        names.append(scale.name)
    return np.array(found), np.array(names)


def within(rates, bound: float) -> bool:
    """Whether the mean of rates, one a recording, is a bound at most but for three errors."""
    return rates.mean() <= bound + 3 * rates.std() / math.sqrt(len(rates))


# --- false alarms -------------------------------------------------------------------------------


@pytest.mark.parametrize("m", REGISTERED)
@pytest.mark.parametrize("law", LAWS)
def test_a_stage_alarms_at_most_at_its_rate(law, m):
    """Averaged over recordings, whichever test is chosen."""
    found, _ = alarms(law, m)
    assert within(found.mean(1), alpha1(m))


@pytest.mark.parametrize("m", REGISTERED)
@pytest.mark.parametrize("law", LAWS)
def test_both_stages_alarm_at_most_at_alpha(law, m):
    """Both stages share a recording, so the rate is that of the mean square, unbiased."""
    found, _ = alarms(law, m)
    count = found.sum(1)
    both = count * (count - 1) / (STAGES * (STAGES - 1))
    assert within(both, decisions.split(m))


@pytest.mark.parametrize("law", LAWS)
def test_most_recordings_keep_the_rate_of_a_stage(law):
    """Not on average alone: the recording is frozen. A count of STAGES alarms is binomial."""
    m = 11
    found, _ = alarms(law, m)
    most = stats.binom.isf(0.05, STAGES, alpha1(m))
    kept = (found.sum(1) <= most).mean()
    assert kept >= decisions.CONFIDENCE - 0.05 - 3 * math.sqrt(0.1 * 0.9 / RECORDINGS)


@pytest.mark.parametrize("law", ["exponential", "t with 3", "gamma of 4", "rare jumps"])
def test_recordings_that_look_normal_by_chance_do_no_harm(law):
    """Without ranks, means of Student's t alarm at several times the rate of two stages here."""
    m = 300
    found, names = alarms(law, m)
    passing = found[names == "identity"]
    if len(passing) < 10:  # of exponential recordings none pass
        assert law == "exponential"
        return
    count = passing.sum(1)
    assert within(passing.mean(1), alpha1(m))
    assert within(count * (count - 1) / (STAGES * (STAGES - 1)), decisions.split(m))


def test_means_alone_would_alarm_too_often_which_is_why_ranks_must_agree():
    m = 300
    rng = np.random.default_rng(1)
    k = decisions.k_factor(N, NOW, alpha1(m))
    recorded = LAWS["t with 3"](rng, 4000, N)
    near = [r for r in recorded if distributions.choose(r, r, "units") == "identity"]
    now = LAWS["t with 3"](rng, len(near), STAGES, NOW).mean(-1)
    r = np.array(near)
    rate = (np.abs(now - r.mean(1)[:, None]) > k * r.std(1, ddof=1)[:, None]).mean()
    assert rate > 1.5 * alpha1(m)


# --- power --------------------------------------------------------------------------------------


@pytest.mark.parametrize("m", REGISTERED)
def test_both_stages_detect_the_detectable_shift_but_not_much_less(m):
    rng = np.random.default_rng(2)
    unit = stats.norm.ppf((np.arange(N) + 0.5) / N)
    scale = distributions.Scale("identity", unit / unit.std(ddof=1), 0.0)
    shift = distributions.detectable(scale, NOW, alpha1(m))  # in deviations, since there is one
    recorded = rng.standard_normal((4000, N))
    for less, enough in ((0.0, True), (-0.2, False)):
        seen = np.ones(4000, dtype=bool)
        for _ in range(2):
            now = rng.standard_normal((4000, NOW)) + shift + less
            seen &= scale.apart(recorded, now, alpha1(m))
        least = decisions.POWER - 3 * math.sqrt(0.05 * 0.95 / 4000)
        assert (seen.mean() >= least) == enough


@pytest.mark.parametrize("law", ["two peaks", "exponential"])
def test_a_shift_found_by_trial_is_detected_in_new_draws_too(law):
    rng = np.random.default_rng(3)
    scale = distributions.Scale(RANKS, LAWS[law](rng, N), 0.0)
    shift = distributions.detectable_by_trial(scale, NOW, alpha1(300))
    fresh = LAWS[law](rng, 2000, NOW)
    assert scale.moved(fresh + shift, alpha1(300)).mean() > 0.9
    assert scale.moved(fresh + shift / 3, alpha1(300)).mean() < 0.9


def test_no_shift_is_detected_if_a_tenth_of_the_distance_is_large():
    values = np.random.default_rng(4).standard_exponential(N)
    assert (
        distributions.detectable_by_trial(distributions.Scale(RANKS, values, 1e3), NOW, 1e-2)
        is None
    )


def test_ranks_need_more_than_their_own_level():
    assert distributions.rank_level(N, NOW, 1e-2) < 1e-2 / 2
    assert distributions.rank_level(10**8, NOW, 1e-2) == pytest.approx(1e-2, rel=1e-2)


@pytest.mark.parametrize(("now", "moved"), [(-3.0, True), (0.0, True), (1.0, False)])
def test_a_value_without_a_logarithm_ranks_below_every_recorded_one(now, moved):
    """A loss that rose learned less than nothing, and not the one nat whose logarithm is 0."""
    recorded = np.exp(stats.norm.ppf((np.arange(N) + 0.5) / N))
    name, shift = distributions.compare(
        recorded, [now] * NOW, other=recorded * 10, unit="nats", alpha1=alpha1(300)
    )
    assert (name, shift.moved) == ("log", moved)


# --- which scale --------------------------------------------------------------------------------

RNG = np.random.default_rng(5)
NORMAL = RNG.normal(10.0, 1.0, N)
LOGNORMAL = np.exp(RNG.normal(0.0, 1.0, N))
LOGIT = special.expit(2 * RNG.standard_normal(N))
PEAKS = LAWS["two peaks"](RNG, N)


@pytest.mark.parametrize(
    ("unit", "values", "name"),
    [
        ("nats", LOGNORMAL, "log"),
        ("share", LOGIT, "logit"),
        ("units", NORMAL, "identity"),
        ("units", LOGNORMAL, RANKS),
        ("nats", LOGNORMAL - 5, RANKS),  # no logarithm
        ("share", PEAKS, RANKS),
        ("units", [0.1] * N, "identity"),
    ],
)
def test_unit_and_values_choose_the_scale(unit, values, name):
    assert distributions.choose(values, values, unit) == name


def test_each_arm_has_its_own_scale():
    assert distributions.scale(NORMAL, PEAKS, "units").name == "identity"
    assert distributions.scale(PEAKS, NORMAL, "units").name == RANKS


def test_other_arm_must_be_finite_on_the_scale():
    share = np.clip(0.8 + 0.01 * RNG.standard_normal(N), 0, 1)
    assert distributions.choose(share, [0.1] * N, "share") == "logit"
    assert distributions.choose(share, [0.0] * N, "share") == "identity"


@pytest.mark.parametrize(
    ("law", "least", "most"),
    [("normal", 0.95, 1.0), ("exponential", 0.0, 0.0), ("two peaks", 0.0, 0.0),
     ("t with 3", 0.2, 0.6)],
)  # fmt: skip
def test_nearly_normal_outcomes_are_compared_by_means(law, least, most):
    _, names = alarms(law, 300)
    assert least <= (names == "identity").mean() <= most


# --- one comparison -----------------------------------------------------------------------------


def shifted(by, recorded=NORMAL, other=None, law=NORMAL):
    """``NOW`` of the recorded values, moved; a mean as recorded but for ``by``."""
    now = np.sort(law)[2::4] - np.sort(law)[2::4].mean() + np.mean(law) + by
    compared = list(recorded) if other is None else other
    return distributions.compare(list(recorded), now, other=compared, unit="units", alpha1=1e-2)


def test_shift_is_two_sided():
    assert [shifted(by)[1].moved for by in (-1.5, -0.2, 0.2, 1.5)] == [True, False, False, True]


def test_ranks_are_two_sided_too():
    name, shift = shifted(0.9, PEAKS, law=PEAKS)
    assert (name, shift.detectable) == (RANKS, None)
    assert shift.moved
    assert not shifted(0.02, PEAKS, law=PEAKS)[1].moved


@pytest.mark.parametrize("law", [NORMAL, PEAKS], ids=["mean", "ranks"])
def test_shift_below_a_tenth_of_the_distance_is_no_drift(law):
    far = [float(np.mean(law)) + 20.0] * N  # a tenth of the distance is 2
    assert not shifted(1.9, law, other=far, law=law)[1].moved
    assert shifted(2.1, law, other=far, law=law)[1].moved
    assert shifted(0.0, law, other=far, law=law)[1].allowed == pytest.approx(2.0)


def test_shift_that_is_not_finite_on_its_scale_counts_as_moved():
    before = list(np.clip(LOGIT, 0.01, 0.99))
    for now in ([0.0] * NOW, [1.0] * NOW):
        _, shift = distributions.compare(before, now, other=before, unit="share", alpha1=1e-2)
        assert shift.moved


@pytest.mark.parametrize(
    "recorded", [[0.1] * N, NORMAL[: N - 1], [*NORMAL[1:], math.inf], [], [1.0]]
)
def test_an_unsuitable_recording_is_not_compared(recorded):
    """Constant, too short, or not finite."""
    assert shifted(5.0, recorded=recorded) is None
