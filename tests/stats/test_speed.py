"""Ratios of times, on simulated clocks: the truth is known and no test waits."""

import numpy as np
import pytest

from initcheck.stats import speed


class Machine:
    """A clock that only calls advance, by their seconds times the noise."""

    def __init__(self, noise=lambda tick: 1.0):
        self.now, self.tick, self.noise = 0.0, 0, noise

    def clock(self):
        return self.now

    def call(self, seconds):
        def work():
            self.now += seconds * self.noise(self.tick)
            self.tick += 1

        return work


def lognormal(sigma, seed=0):
    rng = np.random.default_rng(seed)
    return lambda tick: float(np.exp(sigma * rng.standard_normal()))


def compare(machine, a, b, limit):
    return speed.compare(machine.call(a), machine.call(b), limit=limit, clock=machine.clock)


@pytest.mark.parametrize(
    ("a", "b", "limit", "verdict"),
    [
        (1.0, 4.0, 0.5, "pass"),
        (3.0, 4.0, 0.5, "refuted"),
        (1.0, 1.0, 1.25, "pass"),
        (1.5, 1.0, 1.25, "refuted"),
    ],
)
def test_compare_judges_a_ratio_by_its_limit(a, b, limit, verdict):
    judged = compare(Machine(lognormal(0.05)), a, b, limit)
    assert judged.verdict == verdict
    assert judged.ratio == pytest.approx(a / b, rel=0.05)
    assert judged.low < a / b < judged.high


def test_a_steady_drift_cancels_within_each_block():
    warming = Machine(lambda tick: 1.01**tick)
    logs = speed.turns(warming.call(1), warming.call(1), clock=warming.clock)
    assert len(logs) == speed.PAIRS
    assert abs(logs.mean()) < 1e-12
    assert (abs(logs) > 0.009).all()


def test_one_bad_look_is_not_enough():
    looks = speed.PAIRS * 2
    calls_before = 2 + looks  # warm-up and control
    # Ticks count calls. The first look starts at tick 42, so its As are at 42, 45, 46, 49, ...
    slow_once = Machine(
        lambda tick: (
            3.0 if calls_before <= tick < calls_before + looks and tick % 4 in (1, 2) else 1
        )
    )
    judged = compare(slow_once, 1.0, 1.0, 1.25)
    assert slow_once.tick == calls_before + 2 * looks
    assert judged.verdict == "pass"


def test_equal_calls_that_differ_are_not_judged():
    calls = iter(range(10**6))
    machine = Machine(lambda tick: 1.5 if next(calls) % 4 in (2, 1) else 1.0)
    judged = compare(machine, 1.0, 1.0, 1.25)
    assert judged.verdict == "invalid"
    assert "two equal calls differ by a factor of" in judged.sentence


def test_a_ratio_noisier_than_the_limit_is_not_judged():
    judged = compare(Machine(lognormal(1.0)), 3.0, 1.0, 1.05)
    assert judged.verdict == "invalid"
    assert "times of equal calls vary by a factor of" in judged.sentence


def test_false_alarms_at_the_limit_itself_are_rare():
    verdicts = [
        compare(Machine(lognormal(0.1, seed)), 1.25, 1.0, 1.25).verdict for seed in range(200)
    ]
    assert verdicts.count("refuted") == 0


def test_a_slowdown_of_a_third_beyond_the_limit_is_found():
    verdicts = [
        compare(Machine(lognormal(0.1, seed)), 1.66, 1.0, 1.25).verdict for seed in range(100)
    ]
    assert verdicts.count("refuted") >= 90
    assert verdicts.count("pass") <= 3
