"""The envelope of tensors' ways: how wide it is, what is judged, and what left first."""

from __future__ import annotations

import math

import pytest
import torch

from initcheck.envelope.compare import FLOOR
from initcheck.envelope.sketches import sketch
from initcheck.envelope.ways import SHOWN, WAY_CHAOS, apart, growth, outside, rounded

EPS = torch.finfo(torch.float32).eps


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def way(*steps, length=1.0):
    """Sketches ``(1, J, 2)`` of one seed, whose one product is given for each step."""
    return torch.tensor([[[product, length] for product in steps]], dtype=torch.float64)


def seeds(*ways):
    return torch.cat(ways)


# --- distance


def test_the_distance_is_estimated_without_bias():
    a, b = normal(1, 200), normal(1, 200, seed=1)
    names = [f"tensor {i}" for i in range(500)]
    far = torch.cat([apart(sketch(name, a), sketch(name, b)) for name in names])
    assert float(far.square().mean().sqrt()) == pytest.approx(float((a - b).norm()), rel=0.1)


@pytest.mark.parametrize(
    ("now", "before", "far"),
    [
        (1.0, 1.0, 0.0), (1.0, 3.0, 2.0), (math.inf, math.inf, 0.0), (math.inf, 1.0, math.inf),
        (1.0, -math.inf, math.inf), (math.nan, 1.0, math.inf), (1.0, math.nan, math.inf),
        (math.nan, math.nan, 0.0),
    ],
)  # fmt: skip
def test_what_is_not_finite_is_infinitely_far(now, before, far):
    assert apart(way(now), way(before)).tolist() == [[far]]


def test_the_length_of_a_way_is_no_part_of_the_distance():
    assert apart(way(1.0, length=5.0), way(1.0, length=7.0)).item() == 0


# --- the envelope


def slow_growth(reference, twins, eps):
    """The envelope by loops: for each step the farthest twin so far, or the floor."""
    envelope, largest = [], 0.0
    for step in range(reference.shape[1]):
        for row, twin in enumerate(twins):
            mine = reference[row % len(reference)]
            largest = max(largest, float((twin[step] - mine[step])[:-1].square().mean().sqrt()))
            largest = max(largest, FLOOR * eps * float(mine[step, -1]))
        envelope.append(largest)
    return envelope


@pytest.mark.parametrize("scale", [0.0, 1e-8, 1e-3])
def test_growth_is_the_largest_distance_of_twins_so_far(scale):
    reference = normal(3, 6, 5).abs()
    twins = reference.repeat(4, 1, 1) + scale * normal(12, 6, 5, seed=1)
    found = growth({"w": reference}, {"w": twins}, {"w": EPS})["w"]
    assert found.tolist() == pytest.approx(slow_growth(reference, twins, EPS), rel=1e-12)
    assert (found.diff() >= 0).all()


def test_each_twin_is_compared_with_the_seed_that_it_repeats():
    reference = seeds(way(1.0), way(5.0))
    assert growth({"w": reference}, {"w": reference.repeat(3, 1, 1)}, {"w": 0.0})["w"].item() == 0


def test_a_twin_that_is_not_finite_opens_the_envelope_for_all_later_steps():
    found = growth({"w": way(1, 1, 1)}, {"w": way(1, math.nan, 1)}, {"w": 0.0})["w"]
    assert found.tolist() == [0, math.inf, math.inf]


# --- outside


def judged(now, reference, envelope):
    width = torch.tensor(envelope, dtype=torch.float64)
    return outside({"w": now}, {"w": reference}, {"w": width})


def test_r_is_the_distance_in_envelopes_at_each_step():
    found = judged(way(1.0, 2.04), way(1.0, 2.0), [0.01, 0.02])
    assert found.r[0].tolist() == pytest.approx([0, 2])
    assert found.largest == pytest.approx(2)


@pytest.mark.parametrize(
    ("distances", "typical"), [([4], 4), ([4, 9], 4), ([9, 4, 1], 4), ([9, 4, 1, 9], 4)]
)
def test_the_typical_seed_is_the_lower_median(distances, typical):
    now = seeds(*(way(1 + 0.01 * distance) for distance in distances))
    found = judged(now, way(1.0).repeat(len(distances), 1, 1), [0.01])
    assert found.largest == pytest.approx(typical)


def test_fewer_seeds_than_were_recorded_are_compared_with_the_first():
    reference = seeds(way(1.0), way(5.0), way(9.0))
    assert judged(reference[:2], reference, [0.01]).largest == 0


@pytest.mark.parametrize(("share", "seen"), [(0.999, True), (1.001, False)])
def test_a_tensor_is_judged_while_rounding_moves_it_by_3_percent_at_most(share, seen):
    """The typical seed's way counts, as far as it has gone in the record."""
    reference = seeds(way(1.0, length=0.5), way(1.0, length=2.0), way(1.0, length=9.0))
    found = judged(reference + 1.0, reference, [share * WAY_CHAOS * 2.0])
    assert found.judged.tolist() == [[seen]]
    assert (found.largest is not None) is seen
    assert (found.r > 0).item() is seen


def test_a_tensor_that_does_not_move_must_not_move_now():
    still = way(0.0, 0.0, length=0.0)
    assert judged(still, still, [0.0, 0.0]).largest == 0
    assert judged(way(0.0, 1e-20), still, [0.0, 0.0]).r.tolist() == [[0, math.inf]]
    assert judged(way(0.0, 0.5), still, [0.0, 1.0]).largest == 0.5  # rounding moves the twins


def test_one_seed_that_is_not_finite_leaves_it():
    reference = way(1.0).repeat(4, 1, 1)
    now = reference.clone()
    now[3] = math.nan
    assert judged(now, reference, [0.01]).largest == math.inf


def test_the_first_step_and_its_farthest_tensor_are_named():
    reference = {name: way(1.0, 1.0, 1.0) for name in ("a", "b", "c")}
    now = {"a": way(1.0, 1.2, 9.0), "b": way(1.0, 1.3, 1.0), "c": way(1.05, 1.0, 1.0)}
    widths = {name: torch.tensor([0.01] * 3) for name in reference}
    found = outside(now, reference, widths)
    assert found.first(10) == (1, "b")
    assert found.first(4) == (0, "c")
    assert found.first(1000) is None


def test_nothing_is_judged_without_tensors():
    found = outside({}, {}, {})
    assert (found.largest, found.first(10)) == (None, None)


# --- short numbers


@pytest.mark.parametrize("value", [0.0, 1.2345678901e-3, -98765.4321, 3e-9])
@pytest.mark.parametrize("width", [1e-8, 3e-5, 0.04, 7.0, 900.0, 1e30])
def test_a_rounded_number_is_off_by_a_sixtieth_of_the_width_at_most(value, width):
    short = rounded(value, width)
    assert abs(short - value) <= width / (2 * SHOWN) * (1 + 1e-9)
    decimals = max(0, math.ceil(math.log10(SHOWN / width)))
    assert short == float(f"{short:.{decimals}f}")  # and has no digit beyond that


@pytest.mark.parametrize("width", [0.0, math.inf, math.nan])
def test_a_number_without_a_width_keeps_all_digits(width):
    assert rounded(math.pi, width) == math.pi
    assert math.isnan(rounded(math.nan, 1.0))
