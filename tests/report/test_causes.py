"""What drifted arms have in common, and what became of a seeded fault."""

from __future__ import annotations

from dataclasses import replace

import pytest

from initcheck.report.causes import common, fate
from tests.helpers.recorded_runs import faulty, good
from tests.helpers.results import drift, example, passing, probe, result


def arms(**found):
    """A result whose comparison is red because of these drifts."""
    return result("a", probe("drifted", drift=found))


def under(fault, *results):
    run = example(*results)
    return replace(run, settings=replace(run.settings, fault=fault))


# --- what has changed -----------------------------------------------------------------------------


def test_a_good_run_has_nothing_in_common():
    assert common(good().results) == []
    assert common([passing()]) == []


def test_the_recorded_faults_are_told_apart_by_where_arms_differ_first():
    rate, hadamard, noise = (" ".join(common(run.results)) for run in faulty())
    assert "all layers agree before the first update, and parameters differ after it" in rate
    assert "the optimizer, its learning rate, the gradient" in rate
    assert "start from other values" not in rate
    for text in (hadamard, noise):
        assert "That is before any training" in text
        assert "learning rate" not in text
    assert "than recorded: hadamard (" in hadamard


def test_arms_that_start_elsewhere_are_counted_with_their_names_and_parameters():
    seen = {"treated": drift("changed start", r=None, first_layer="fc1.weight")}
    (text,) = common([arms(**seen, control=drift(r=0.2)), passing()])
    assert text.startswith("1 of 6 arms starts from other values than recorded: he (1), first in ")
    assert "first in fc1.weight (1). " in text


@pytest.mark.parametrize(
    ("found", "look"),
    [
        ({"first_step": 0, "first_layer": "fc2"}, "before the first update, first fc2 (1). Look"),
        (
            {"first_step": 0, "first_layer": "fc2.weight gradient"},
            "gradients differ, first fc2.weight gradient (1). Look at the loss, the labels,",
        ),
        ({"first_step": 0, "tensor": "fc1.bias"}, "farthest in fc1.bias (1). Look at what makes "),
        ({"first_step": 0}, "the loss differs before the first update. Look at the loss function"),
        ({"first_step": 16, "first_layer": "fc2"}, "so the first 16 updates are as recorded."),
    ],
    ids=["layer", "gradient", "tensor", "loss", "later"],
)  # fmt: skip
def test_the_first_difference_says_where_to_look(found, look):
    (text,) = common([arms(treated=drift("left", r=531.0, **found), control=drift(r=0.2))])
    assert text.startswith(
        "1 of the 2 arms that can be followed step by step left its rounding envelope, at step "
    )
    assert look in text


def test_other_images_are_told_from_other_values():
    (text,) = common([arms(treated=drift("changed start", r=None), control=drift())])
    assert text.startswith("1 of 2 arms starts from the recorded values, and sees other images")


def test_equal_seeds_and_moved_outcomes_have_their_own_words():
    (alike,) = common([arms(treated=drift("alike"), control=drift())])
    assert alike.startswith("1 of 2 arms has identical seeds that used to differ.")
    (moved,) = common([arms(treated=drift("moved"), control=drift("moved"))])
    assert moved.startswith("2 of 2 arms end with other results")


def test_three_names_are_shown_and_the_others_counted():
    found = [
        arms(treated=drift("left", r=20.0, first_step=0, tensor=name), control=drift())
        for name in "aabbbcde"
    ]
    (text,) = common(found)
    assert "the farthest in b (3), a (2), c (1) and 2 more." in text


# --- the fate of a fault --------------------------------------------------------------------------


def test_a_run_without_a_fault_says_nothing():
    assert fate(example(passing())) == ("", False)
    assert fate(replace(under("he_gain_one"), results=[])) == ("", False)


def test_a_fault_is_caught_missed_or_caught_by_others():
    bound = probe("refuted", fault="he_gain_one")
    caught = fate(under("he_gain_one", result("a", bound), passing()))
    each = "It was caught: 1 of 2 claims noticed it, among them each of this run whose limit must"
    assert caught == (f"{each} catch it. What it breaks: initcheck explain a", True)
    other = fate(under("he_gain_one", result("a", probe("refuted"))))
    noticed = "It was caught: 1 of 1 claim noticed it."
    assert other == (
        f"{noticed} No claim of this run names it as the one that its limit must catch.",
        True,
    )
    missed = result("b", replace(bound, verdict="pass"))
    text, good_enough = fate(under("he_gain_one", result("a", bound), missed))
    assert "but a claim whose limit must catch it passes (b[cpu])." in text
    assert not good_enough
    assert fate(under("he_gain_one", missed)) == (
        "It was not caught: all claims of this run pass.", False,
    )  # fmt: skip
