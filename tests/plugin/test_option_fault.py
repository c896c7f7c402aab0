"""--initcheck-fault, as a user runs it."""

from __future__ import annotations

import pytest

CLAIM = '''
from initcheck import SGD, Arm, Recipe, claim, mlp
from initcheck.initializers import randn, zeros
from initcheck.probes import weight_magnitude

RECIPE = Recipe(SGD(lr=0.1), batch=8, steps=1)

@claim(source="here", kind="exact")
def test_zeros_stay(verdict):
    """Zeros stay."""
    network = mlp(784, 2, 10)
    verdict.holds(
        weight_magnitude, treated=Arm(network, zeros, RECIPE), control=Arm(network, randn, RECIPE)
    )
'''
LIMITS = """
[zeros_stay.weight_magnitude]
max = 0.0
unit = "weight"
kind = "exact"
why = "a product with zero"
fault = "zeros_with_noise"
"""


@pytest.fixture
def faulty(project):
    """One claim, bound to a fault."""
    project.claims(CLAIM)
    project.limits(LIMITS)
    return project


def test_seeded_fault_is_announced_caught_and_gone_afterwards(faulty):
    broken = faulty.run("--initcheck-fault", "zeros_with_noise")
    assert broken.ret == 1
    assert "FAULT zeros_with_noise is seeded: this run must fail" in broken.text
    assert "was caught by zeros_stay." in broken.text
    assert "if meant" not in broken.text  # a fault is neither recorded nor allowed by a limit
    assert "--initcheck-record" not in broken.text
    assert faulty.run().ret == 0


def test_fault_that_nobody_sees_is_no_pass(faulty):
    survived = faulty.run("--initcheck-fault", "dropout_by_row")
    assert survived.ret == 1
    assert "fault dropout_by_row survived: no claim that ran went red." in survived.text


def test_claim_that_should_have_seen_the_fault_is_named(faulty):
    two = CLAIM + CLAIM[CLAIM.index("@claim") :].replace("zeros_stay", "zeros_stay_too")
    faulty.claims(two)
    faulty.limits(
        LIMITS.replace("zeros_with_noise", "lr_halved")
        + LIMITS.replace("zeros_stay", "zeros_stay_too").replace("max = 0.0", "min = 1.0")
    )
    said = "fault lr_halved was caught by zeros_stay_too; bound to it but green: zeros_stay."
    assert said in faulty.run("--initcheck-fault", "lr_halved").text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--initcheck-fault", "lr_halfed"], "Did you mean lr_halved"),
        (
            ["--initcheck-fault", "qqq"],
            "no fault 'qqq'. `initcheck explain CLAIM` names those that",
        ),
        (["--initcheck-fault", " "], "names nothing"),
        (["--initcheck-fault", "lr_halved", "--initcheck-record", "x"], "is no evidence"),
    ],
    ids=["unknown", "like no other", "empty", "recorded"],
)
def test_wrong_fault_is_refused(faulty, arguments, words):
    refused = faulty.run(*arguments)
    assert refused.ret == 4
    assert words in refused.text


def test_a_limit_that_names_no_fault_is_refused(faulty):
    faulty.limits(LIMITS.replace("zeros_with_noise", "zeros_with_noises"))
    refused = faulty.run()
    assert refused.ret == 4
    assert (
        "limits.toml: [zeros_stay.weight_magnitude]: There is no fault 'zeros_with_noises'. "
        "Did you mean zeros_with_noise" in refused.text
    )
