"""Results made by hand: one claim of each verdict, for the tests of the reports."""

from __future__ import annotations

import copy
from typing import Any

Dict = dict[str, Any]

ENVIRONMENT: Dict = {
    "python": "3.11.2",
    "torch": "2.14.1",
    "torchvision": "0.29.1",
    "numpy": "2.4.6",
    "scipy": "1.17.1",
    "platform": "Linux-6.1-x86_64",
    "devices": [
        {"name": "cpu", "type": "cpu", "hardware": "AMD EPYC 9B14"},
        {"name": "cuda", "type": "cuda", "hardware": "NVIDIA H200", "memory": 139},
    ],
    "matmul precision": "highest",
    "threads": 2,
}

SETTINGS: Dict = {
    "seeds": None,
    "scale": "brief",
    "engine": "ensemble",
    "baselines": "baselines",
    "data_root": None,
    "salt": None,
    "record": None,
}

CONTRACT = "false alarms: 8e-5 a comparison, 1 % of runs of the suite"


def drift(verdict: str = "unchanged", **more: Any) -> Dict:
    """An arm against evidence of 64 seeds, one standard deviation being 0.09."""
    known = {
        "verdict": verdict,
        "r": 1.3,
        "mean": 0.612,
        "recorded_mean": 0.61,
        "recorded_std": 0.09,
        "recorded_n": 64,
        "allowed": 0.1,
        "detectable_shift": 0.126,
        "environment": "CPU float32, torch 2.14.1, 2026-11-22",
    }
    return known | more


def probe(verdict: str = "pass", **more: Any) -> Dict:
    """A probe that holds a loss under a limit, on four seeds."""
    known = {
        "probe": "training_loss",
        "case": "",
        "unit": "nats",
        "form": "holds",
        "kind": "measured",
        "why": "He keeps the second moment of activations; randn saturates the softmax.",
        "fault": "gain sqrt(2) -> 1",
        "limit": {"min": None, "max": 1.2},
        "verdict": verdict,
        "reason": "",
        "stage": 1,
        "seeds": [11, 12, 13, 14],
        "treated": [0.61, 0.58, 0.7, 0.55],
        "control": [2.29, 2.31, 2.3, 2.305],
        "treated_name": "he",
        "control_name": "randn",
        "margin": 0.234,
        "margin_unit": "decades",
        "p_value": None,
        "drift": {"treated": drift(), "control": drift(r=0.8)},
    }
    return known | more


def result(claim: str, *probes: Dict, device: str = "cpu", **more: Any) -> Dict:
    """A result whose verdict is that of its worst probe."""
    order = ["pass", "inconclusive", "drifted", "refuted", "invalid"]
    known = {
        "claim": claim,
        "id": f"{claim}[{device}]",
        "device": device,
        "kind": "measured",
        "source": "notebook 001; CLAIMS b1",
        "statement": "A He start ends with a lower loss than a standard normal one.",
        "verdict": max((probe["verdict"] for probe in probes), key=order.index, default="invalid"),
        "seconds": 1.24,
        "message": "",
        "probes": list(probes),
    }
    return known | more


def passing() -> Dict:
    return result(
        "he_beats_randn", probe(), probe(probe="test_accuracy", case="celu", unit="share")
    )


def refuted() -> Dict:
    return result(
        "he_learns_on_cuda",
        probe(
            "refuted",
            treated=[2.01, 2.3, 1.1, 2.2],
            stage=2,
            margin=-0.28,
            reason="the treated arm is on the wrong side of its limit",
            drift={"treated": drift("left", r=531.0), "control": drift()},
        ),
        device="cuda",
    )


def refuted_gain() -> Dict:
    return result("hadamard_beats_identity", gain("refuted", p_value=0.93))


def gain(verdict: str, **more: Any) -> Dict:
    """A paired gain in test accuracy: the treated arm is above on two of four seeds, once equal."""
    known = {
        "probe": "test_accuracy",
        "unit": "share",
        "form": "gains",
        "limit": {"margin": 0.02},
        "treated": [0.81, 0.8, 0.85, 0.8],
        "control": [0.8, 0.8, 0.8, 0.83],
        "treated_name": "hadamard",
        "control_name": "identity",
        "margin": None,
        "margin_unit": None,
        "p_value": 0.31,
    }
    return probe(verdict, **(known | more))


def drifted() -> Dict:
    left = drift("left", r=531.0, first_step=16, first_layer="fc2", mean=0.8)
    return result(
        "zeroed_layer_still_learns",
        probe("drifted", stage=2, drift={"treated": left, "control": drift(r=0.9)}),
        source="notebook 003; CLAIMS c2",
    )


def inconclusive() -> Dict:
    return result("hadamard_beats_random", gain("inconclusive"), source="arXiv 2110.12661 table 2")


def invalid() -> Dict:
    return result(
        "deep_relu_network_trains",
        probe("invalid", treated=[0.5, float("nan"), 0.6, float("inf")], margin=float("nan")),
        source="notebook 003; CLAIMS c4",
    )


def example(*results: Dict) -> Dict:
    """A results file with one claim of each verdict, or with the given results."""
    everything = [passing(), refuted(), refuted_gain(), drifted(), inconclusive(), invalid()]
    return copy.deepcopy(
        {
            "schema": 1,
            "environment": ENVIRONMENT,
            "settings": SETTINGS,
            "results": list(results) or everything,
        }
    )
