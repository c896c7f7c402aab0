"""The gate's formulas compared with simulations of known truth, and its verdicts case by case.

Sizes: RECORDINGS recordings of N seeds each, all at once. The share of them that keeps a promise is
binomial, so it is allowed to fall short by 3 standard errors, 3 sqrt(p (1 - p) / RECORDINGS): .0103
at p = .95. Seeds are fixed, so a test that passes once passes always.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from initcheck import results
from initcheck.stats import decisions

RECORDINGS = 4000
N, NOW = decisions.ENOUGH_RECORDED, 16
REGISTERED = (11, 300)  # comparisons: a small suite and a large one
NAN, INF = math.nan, math.inf


def tolerance(share: float, trials: int = RECORDINGS) -> float:
    """Three standard errors of a share among this many trials."""
    return 3 * math.sqrt(share * (1 - share) / trials)


def normal(rng, *shape):
    return rng.standard_normal(shape)


def exponential(rng, *shape):
    return rng.standard_exponential(shape) - 1


def t3(rng, *shape):
    return rng.standard_t(3, shape) / math.sqrt(3)


def bimodal(rng, *shape):
    return rng.choice([-1.0, 1.0], shape) + 0.1 * rng.standard_normal(shape)


def alpha1(m: int) -> float:
    return decisions.per_stage(decisions.split(m))


# --- the tolerance of a mean --------------------------------------------------------------------


def test_alpha_is_split_over_registered_comparisons_and_two_stages():
    assert decisions.split(40) == 0.01 / 40
    assert decisions.split(0) == 0.01
    assert decisions.per_stage(1e-4) == pytest.approx(1e-2)
    assert decisions.per_stage(decisions.split(40)) ** 2 * 40 == pytest.approx(
        decisions.SUITE_FALSE_ALARMS
    )


@pytest.mark.parametrize("m", REGISTERED)
def test_k_keeps_its_promise_for_normal_outcomes(m):
    """95 % of recordings lead to stages that fail with probability alpha1 at most, each side."""
    rng = np.random.default_rng(1)
    recorded = normal(rng, RECORDINGS, N)
    mean, s = recorded.mean(1), recorded.std(1, ddof=1)
    reach = decisions.k_factor(N, NOW, alpha1(m)) * s
    above = stats.norm.sf((mean + reach) * math.sqrt(NOW))  # exact, given the recording
    below = stats.norm.cdf((mean - reach) * math.sqrt(NOW))
    for side in (above, below):
        kept = (side <= alpha1(m) / 2).mean()
        assert abs(kept - decisions.CONFIDENCE) < tolerance(decisions.CONFIDENCE)
    assert (above + below <= alpha1(m)).mean() > decisions.CONFIDENCE - tolerance(
        decisions.CONFIDENCE
    )


def test_more_comparisons_make_k_larger_and_more_seeds_smaller():
    k = decisions.k_factor(N, NOW, 1e-2)
    assert decisions.k_factor(N, NOW, 1e-3) > k
    assert decisions.k_factor(N, 2 * NOW, 1e-2) < k
    assert decisions.k_factor(10 * N, NOW, 1e-2) < k


def test_k_of_a_boundless_recording_is_the_normal_quantile():
    assert decisions.k_factor(10**6, NOW, 0.05) == pytest.approx(
        stats.norm.isf(0.025) / math.sqrt(NOW), rel=1e-2
    )


def test_each_transform_is_the_function_of_its_name():
    assert decisions.transformed([1.0, math.e], "log") == pytest.approx([0.0, 1.0])
    assert decisions.transformed([0.5, 0.75], "logit") == pytest.approx([0.0, math.log(3)])
    assert decisions.transformed([0.5, 2.0], "identity").tolist() == [0.5, 2.0]


# --- gains --------------------------------------------------------------------------------------


@pytest.mark.parametrize("draw", [normal, t3, bimodal])
def test_a_gain_appears_by_chance_no_more_often_than_promised(draw):
    """Distributions symmetric about 0; 800 samples of 16."""
    rng = np.random.default_rng(6)
    p = np.array([decisions.gain_p(draw(rng, NOW)) for _ in range(800)])
    for level in (decisions.GAIN_P, 0.05):
        assert (p <= level).mean() <= level + tolerance(level, 800)
    assert (p <= 0.05).mean() > 0.02  # and it is a test, not a constant


def test_gain_p_is_exact():
    assert decisions.gain_p(np.arange(1.0, 17.0)) == pytest.approx(2.0**-16)
    assert decisions.gain_p(-np.arange(1.0, 17.0)) == 1.0
    assert decisions.gain_p(np.array([-1.0, 2, 3, 4, 5, 6, 7, 8])) == pytest.approx(2 / 2**8)


@pytest.mark.parametrize(
    ("d", "p"),
    [
        ([1.0] * 8, 2.0**-8),  # all tied: the sign test
        ([1.0] * 7 + [-1.0], 9 / 2**8),
        ([0.0, 0.0, 1.0, 1.0], 0.25),  # zeros say nothing
        ([0.0, 1.0, 2.0], 0.25),
        ([0.0, 0.0], 1.0),
    ],
)
def test_ties_and_zeros_go_to_the_sign_test(d, p):
    assert decisions.gain_p(np.array(d)) == pytest.approx(p)


def test_sign_test_holds_for_skewed_ties():
    """Rounded exponential differences with median 0 and many ties; 800 samples of 16."""
    rng = np.random.default_rng(7)
    d = np.round(rng.standard_exponential((800, NOW)) - math.log(2), 1)
    p = np.array([decisions.gain_p(row) for row in d])
    assert (p <= 0.05).mean() <= 0.05 + tolerance(0.05, 800)


UP = np.linspace(1.0, 2.0, NOW)


@pytest.mark.parametrize(
    ("d", "margin", "verdict"),
    [
        (UP, 0.0, "pass"),
        (UP, 0.99, "pass"),
        (UP, 1.5, "inconclusive"),
        (UP, 2.5, "refuted"),
        (-UP, 0.0, "refuted"),
        (-UP, -2.1, "pass"),  # loses less than it may
        (UP[:7], 0.0, "inconclusive"),  # 2**-7 is not small enough
        (UP[:8], 0.0, "pass"),
        ([*UP, NAN], 0.0, "invalid"),
        ([*UP, INF], 0.0, "invalid"),
        ([1.0], 0.0, "inconclusive"),
        ([-1.0], 0.0, "inconclusive"),
    ],
)
def test_gains(d, margin, verdict):
    assert decisions.gains(d, margin) == verdict


TENTHS = np.array([9, 7, 8, 6, 5, 9, 4, 3, 7, 6]), np.array([6, 4, 5, 4, 6, 6, 1, 0, 1, 2])


@pytest.mark.parametrize("margin", [0, 3, 4])
def test_rounding_does_not_hide_ties_of_shares(margin):
    """.9 - .6 is not .7 - .4, and .8 - .5 - .3 is not 0: as whole tenths they are."""
    treated, control = TENTHS
    shares = treated / 10 - control / 10 - margin / 10
    exact = (treated - control - margin).astype(float)
    assert len(np.unique(shares)) > len(np.unique(exact))
    assert decisions.gain_p(shares) == decisions.gain_p(exact)


@pytest.mark.parametrize("behind", [0, 2, 4, 12, 40, 64])
def test_a_gain_is_missed_if_three_of_sixteen_pairs_are_behind(behind):
    """Differences of one size are counted: two of 16 behind have p = .0021, three .0106."""
    d = np.ones(N)
    d[:behind] = -1.0
    expected = stats.hypergeom.sf(2, N, behind, NOW)
    assert decisions.gain_missed(d, NOW) == pytest.approx(expected, abs=tolerance(expected))


@pytest.mark.parametrize("d", [UP, -UP])
def test_fewer_seeds_than_a_stage_do_not_decide_about_later_ones(d):
    assert decisions.gain_missed(d, len(d)) == 0.0


def test_upper_bound_covers_the_mean():
    rng = np.random.default_rng(8)
    bounds = np.array([decisions.upper_bound(row, 0.95) for row in normal(rng, RECORDINGS, NOW)])
    assert abs((bounds >= 0).mean() - 0.95) < tolerance(0.95)


# --- rates --------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.5, 0.8, 0.95, 1.0])
def test_least_successes_keeps_its_promise(share):
    """In 95 % of recordings, fewer successes occur by chance with probability at most alpha1."""
    rng = np.random.default_rng(9)
    counts, times = np.unique(rng.binomial(N, share, RECORDINGS), return_counts=True)
    kept = 0
    for count, number in zip(counts, times, strict=True):
        least = decisions.least_successes((int(count), N), NOW, 1e-2)
        kept += number * (stats.binom.cdf(least - 1, NOW, share) <= 1e-2)
    assert kept / RECORDINGS >= decisions.CONFIDENCE - tolerance(decisions.CONFIDENCE)


def test_least_successes_by_hand():
    p_low = 0.05 ** (1 / 64)  # Clopper and Pearson for 64 of 64
    assert stats.binom.cdf(12, 16, p_low) <= 1e-2 < stats.binom.cdf(13, 16, p_low)
    assert decisions.least_successes((64, 64), 16, 1e-2) == 13
    assert decisions.least_successes((0, 64), 16, 1e-2) == 0


def test_least_of_a_share_is_the_largest_bound_that_keeps_alpha():
    for share in (0.3, 0.5, 0.9):
        least = decisions.least_of(share, NOW, 1e-2)
        assert stats.binom.cdf(least - 1, NOW, share) <= 1e-2 < stats.binom.cdf(least, NOW, share)


@pytest.mark.parametrize(
    ("treated", "control", "least", "verdict"),
    [
        ([1, 1, 1, 0], [0, 0, 0, 0], 3, "pass"),
        ([1, 1, 0, 0], [0, 0, 0, 0], 3, "refuted"),
        ([1, 1, 1, 1], [1, 1, 1, 0], 3, "invalid"),  # the control succeeds as often
        ([1, 1, 1, 1], [1, 1, 0, 0], 3, "pass"),
        ([1, 1, 1, 0.5], [0, 0, 0, 0], 3, "invalid"),  # not a success, not a failure
        ([1, 1, 1, NAN], [0, 0, 0, 0], 3, "invalid"),
        ([1, 1, 1, 1], [0, 0, 0, 0], 0, "invalid"),  # any count would do
    ],
)
def test_rate(treated, control, least, verdict):
    assert decisions.rate(treated, control, least) == verdict


# --- limits and verdicts ------------------------------------------------------------------------

ZERO, ABOVE, BAND = decisions.Limit(high=0.0), decisions.Limit(low=0.5), decisions.Limit(0.2, 0.4)


@pytest.mark.parametrize(
    ("treated", "control", "limit", "verdict"),
    [
        ([0.0, 0.0], [1.0, 2.0], ZERO, "pass"),
        ([0.0, -0.0], [5e-324], ZERO, "pass"),
        ([0.0, 5e-324], [1.0], ZERO, "refuted"),
        ([0.0, 0.0], [1.0, 0.0], ZERO, "invalid"),
        ([0.1], [0.0], ZERO, "refuted"),  # both wrong: the claim is what counts
        ([0.5], [0.5 - 1e-12], ABOVE, "pass"),  # the end belongs to the interval
        ([0.9, 0.8], [0.1, 0.6], ABOVE, "invalid"),
        ([0.3], [0.1, 0.5], BAND, "pass"),
        ([0.2, 0.4], [0.41], BAND, "pass"),
        ([0.3, 0.41], [0.1], BAND, "refuted"),
        ([NAN], [1.0], ZERO, "invalid"),
        ([0.0], [NAN], ZERO, "invalid"),
        ([INF], [0.0], ABOVE, "invalid"),
        ([0.9], [-INF], ABOVE, "invalid"),
        ([NAN, 0.0], [0.0, NAN], ZERO, "invalid"),
    ],
)
def test_holds(treated, control, limit, verdict):
    assert decisions.holds(treated, control, limit) == verdict


def test_nan_is_outside_every_limit():
    assert not decisions.Limit().inside([NAN]).any()
    assert decisions.Limit().inside([-INF, 0.0, INF]).all()


@pytest.mark.parametrize(
    ("treated", "control", "limit", "margin"),
    [
        ([0.9, 0.7], [0.1, 0.45], ABOVE, (0.05, "units")),
        ([0.9, 0.52], [0.1, 0.3], ABOVE, (0.02, "units")),
        ([0.3], [0.9], BAND, (0.1, "units")),
        ([0.9, 0.4], [0.1], ABOVE, (-0.1, "units")),  # on the wrong side
        ([0.9], [0.6], ABOVE, (-0.1, "units")),
        ([0.0], [3.0, 2.0], ZERO, (2.0, "units")),  # equality: the control sets it
        ([1e-9, 1e-8], [1e-2, 1e-1], decisions.Limit(high=1e-6), (2.0, "decades")),
        ([1e-9], [1e-5], decisions.Limit(high=1e-6), (1.0, "decades")),
        ([1e-9], [-1.0], decisions.Limit(high=1e-6), (-1.0 - 1e-6, "units")),
    ],
)
def test_margin(treated, control, limit, margin):
    distance, unit = decisions.margin(treated, control, limit)
    assert distance == pytest.approx(margin[0])
    assert unit == margin[1]


@pytest.mark.parametrize(
    ("one", "other", "room"),
    [
        ([0, 1], [3, 4], 2.0),  # a gap of 2, and 1 within each arm
        ([3, 4], [0, 1], 2.0),
        ([1, 2], [1.5, 4], -0.2),
        ([1, 2], [16, 128], 1.0),  # by ratios: 8 between, 8 within
        ([0, 0], [1, 9], math.inf),  # no ratio is larger than that to zero
        ([-1, -1], [1, 9], 0.25),
        ([2, 2], [2, 2], math.inf),
        ([1, 1], [2, 2], math.inf),
    ],
)
def test_room_between_arms(one, other, room):
    assert decisions.gap_in_ranges(one, other) == pytest.approx(room)


def test_margin_of_nothing_is_none():
    assert math.isnan(decisions.margin([], [1.0], ZERO)[0])


@pytest.mark.parametrize(
    ("verdicts", "worst"),
    [
        ([], "invalid"),
        (["pass"], "pass"),
        (["pass", "drifted"], "drifted"),
        (["inconclusive", "drifted"], "drifted"),
        (["refuted", "inconclusive", "pass"], "refuted"),
        (["invalid", "refuted"], "invalid"),
    ],
)
def test_worst(verdicts, worst):
    assert results.worst(verdicts) == worst
    assert results.worst(iter(verdicts)) == worst


@pytest.mark.parametrize(
    ("first", "fresh", "both"),
    [
        ("pass", "refuted", "pass"),
        ("refuted", "pass", "pass"),
        ("refuted", "refuted", "refuted"),
        ("refuted", "inconclusive", "inconclusive"),
        ("inconclusive", "refuted", "inconclusive"),
        ("refuted", "invalid", "refuted"),
        ("invalid", "invalid", "invalid"),
    ],
)
def test_two_stages_give_the_milder_verdict(first, fresh, both):
    assert results.confirmed(first, fresh) == both


def test_contract():
    assert (decisions.SUITE_FALSE_ALARMS, decisions.POWER, decisions.GAIN_P) == (0.01, 0.95, 0.005)
    assert decisions.SEEDS["measured"] >= 16  # the exact test can then reach 2**-16
