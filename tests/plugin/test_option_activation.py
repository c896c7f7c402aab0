"""`--initcheck-activation NAME`: the networks in which a given initializer is judged."""

from __future__ import annotations

import pytest

from tests.helpers.projects import ROOT

CONFORMANCE = str(ROOT / "benchmarks" / "test_conformance.py")
STARTS = ("-k", "signal or fan_in", "--initcheck-device=cpu", "--initcheck-seeds=2")
MINE = """
def law_(tensor, fan, gain, generator):
    return tensor.normal_(std=(gain / fan) ** 0.5, generator=generator)

def fan_out_(tensor, generator):
    return law_(tensor, tensor.shape[0] * tensor[0, 0].numel(), 2, generator)

def transposed_(tensor, generator):
    return law_(tensor, tensor.transpose(0, 1)[0].numel(), 2, generator)

def without_kernel_(tensor, generator):
    return law_(tensor, tensor.shape[1], 2, generator)

def glorot_(tensor, generator):
    fans = tensor[0].numel() + tensor.transpose(0, 1)[0].numel()
    return law_(tensor, fans, 2, generator)

def lecun_(tensor, generator):
    return law_(tensor, tensor[0].numel(), 1, generator)

def he_(tensor, generator):
    return law_(tensor, tensor[0].numel(), 2, generator)

def small_(tensor, generator):
    return law_(tensor, 1, 0.0004, generator)
"""
SIGNAL, FAN_IN = "keeps_the_signal", "scales_with_fan_in"


def refuted(project, activation, *names):
    """By initializer, which of the two claims are refuted."""
    project.claims(MINE, "mine")
    given = [f"--initcheck-init=mine:{name}" for name in names]
    results = project.results(CONFORMANCE, *STARTS, f"--initcheck-activation={activation}", *given)
    assert {result["verdict"] for result in results} <= {"pass", "refuted"}
    return {
        name: {
            result["claim"].removeprefix("conforming_start_")
            for result in results
            if f"[{name}-cpu]" in result["id"] and result["verdict"] == "refuted"
        }
        for name in names
    }


def test_wrong_fans_and_wrong_gains_are_refuted_in_relu_networks(project):
    expected = {
        "he_": set(),
        "fan_out_": {FAN_IN},
        "transposed_": {FAN_IN},
        "without_kernel_": {FAN_IN},
        "glorot_": {SIGNAL},
        "lecun_": {SIGNAL},
        "small_": {SIGNAL},
    }
    assert refuted(project, "relu", *expected) == expected


def test_glorot_and_lecun_conform_in_tanh_networks(project):
    expected = {"glorot_": set(), "lecun_": set(), "fan_out_": {FAN_IN}, "small_": {SIGNAL}}
    assert refuted(project, "tanh", *expected) == expected


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--initcheck-activation=tanh",), "needs --initcheck-init MODULE:FUNCTION too"),
        (("--initcheck-activation=sine",), "'sine' is none of relu, elu"),
    ],
)
def test_wrong_use_is_refused(project, options, sentence):
    result = project.run(*options)
    assert result.ret == 4
    assert sentence in result.text
