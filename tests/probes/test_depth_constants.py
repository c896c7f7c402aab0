"""Constants of mean field theory, which are part of arms and probes, are the same everywhere."""

from __future__ import annotations

import math

import pytest

from initcheck.devices import compute
from initcheck.initializers.moments import FUNCTIONS, keeping_gain
from initcheck.probes.depth import chi1, normalized_growth


def constants():
    gains = [keeping_gain(activation) for activation in FUNCTIONS]
    growths = [normalized_growth(activation) for activation in ("relu", "tanh")]
    return [*gains, *growths, *chi1(1.0, 0.05), *chi1(3.0, 0.05)]


def test_constants_do_not_depend_on_the_number_of_threads():
    with compute.threads(1):
        one = constants()
    with compute.threads(2):
        two = constants()
    assert one == two


def test_constants_are_those_of_the_literature():
    assert keeping_gain("relu") == pytest.approx(math.sqrt(2), abs=1e-8)
    assert normalized_growth("relu") == pytest.approx(math.sqrt(math.pi / (math.pi - 1)), abs=1e-6)
    _, critical = chi1(1.327, 0.05)
    assert critical == pytest.approx(1, abs=1e-4)
